"""The memory of a training process, step by step, which must become constant.

    python benchmarks/train_memory.py --data PACK [--batch-size 8] [--steps 300] [--never-give-back]

The steps are those of `ssd300 train --recipe modern`, in one process that also reads the pictures. With
--never-give-back the bound on freed memory (`learn/device.py`) is off; then only the constant sizes of a step's
allocations limit the memory.
"""

import argparse

from ssd300.data.load import load_dataset
from ssd300.learn.device import FreedMemory, choose_compute, keep_freed_memory, resident_bytes
from ssd300.learn.learner import make_learner
from ssd300.learn.loader import TrainingPictures, collate
from ssd300.learn.recipe import resolve_recipe
from ssd300.learn.start import make_starting_network
from ssd300.learn.train import forward_loss

EVERY = 20  # steps between two looks, as `ssd300 train` has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--never-give-back", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    dataset = load_dataset(options.data)
    recipe = resolve_recipe("modern", batch_size=options.batch_size)
    network, _ = make_starting_network("resnet18", dataset.classes, None, recipe.background_prior)
    compute = choose_compute("cpu")
    learner, memory, given_back = make_learner(network, recipe, compute), FreedMemory(), 0
    pictures = TrainingPictures(dataset, recipe)
    learner.start_learning()
    print("| steps | memory, MB | times given back |\n|---|---|---|")
    for step in range(1, options.steps + 1):
        first = step * options.batch_size
        items = [pictures[0, index % len(dataset), 300] for index in range(first, first + options.batch_size)]
        sum(forward_loss(network, recipe.loss, collate(items), compute)).backward()
        learner.step(1e-5)
        if step % EVERY == 0:
            given_back += not options.never_give_back and memory.check()
        if step % EVERY == 0 or step == 5:
            print(f"| {step} | {(resident_bytes() or 0) / 2**20:.0f} | {given_back} |", flush=True)


if __name__ == "__main__":
    main()
