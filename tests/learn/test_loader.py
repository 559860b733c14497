"""Batches depend on seed, epoch and place alone: not on workers, processes or where a run was resumed."""

import pickle
import sys
import threading
from dataclasses import replace
from multiprocessing import active_children, spawn
from multiprocessing.process import BaseProcess
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.errors import TrainingError
from ssd300.labels import ClassList
from ssd300.learn.loader import (
    ReaderLostError,
    TrainingPictures,
    batches_of,
    collate,
    hidden_main,
    make_loader,
    read_sample,
)
from ssd300.learn.order import EpochBatches, epoch_order
from ssd300.learn.recipe import resolve_recipe


@pytest.fixture
def dataset(tmp_path):
    """Seven noisy pictures; the first has no boxes."""
    pictures = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        rng = np.random.default_rng(i)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
        truth = Annotations.of(np.array([[5, 5, 30, 20 + i]] * min(i, 1)), np.array([4] * min(i, 1)))
        pictures.append(Picture(path, i, 50, 40, truth, path.name))
    return Dataset("noise", ClassList(("a", "b"), (2, 4)), tuple(pictures))


def test_no_pictures_no_batches():
    assert list(EpochBatches(0, 4, seed=0)) == []


def test_every_picture_once_and_the_last_batch_wraps_around():
    batches = list(EpochBatches(7, 3, seed=5))
    indices = [index for batch in batches for _, index, _ in batch]
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert sorted(indices[:7]) == list(range(7))
    assert indices[7:] == indices[:2]


def test_epochs_and_seeds_have_their_own_order():
    orders = [epoch_order(50, seed, epoch).tolist() for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(order) for order in orders}) == 3
    assert epoch_order(50, 0, 0).tolist() == orders[0]


@pytest.mark.parametrize("pictures", [0, 5, 8])
def test_two_processes_share_what_one_takes_in_two_batches(pictures):
    alone = list(EpochBatches(pictures, 2, seed=3, accumulate=2))
    ranks = [list(EpochBatches(pictures, 2, seed=3, rank=rank, world=2)) for rank in range(2)]
    together = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert together == alone


def test_a_resumed_epoch_goes_on_where_it_stopped():
    whole, rest = EpochBatches(9, 2, seed=3), EpochBatches(9, 2, seed=3)
    rest.first_step = 2
    assert list(rest) == list(whole)[2:]


def test_samples_of_no_and_of_one_box(dataset):
    nothing, something = (read_sample(dataset.pictures[i], dataset.classes, 0.35) for i in (0, 2))
    assert nothing.boxes_xyxy.shape == (0, 4)
    np.testing.assert_allclose(something.boxes_xyxy, [[0.1, 0.125, 0.6, 0.55]], rtol=1e-6)
    assert something.labels.tolist() == [2]


def test_low_scores_become_doubtful(dataset):
    picture = dataset.pictures[1]
    truth = Annotations.of([[0, 0, 9, 9], [5, 5, 20, 20]], np.array([2, 4]), scores=np.array([0.2, 0.9]))
    sample = read_sample(Picture(picture.path, 1, 50, 40, truth, "x"), dataset.classes, 0.35)
    assert sample.doubtful.tolist() == [True, False]
    assert sample.objects()[1].tolist() == [2]


@pytest.mark.parametrize("place", ["loader", "device"])
@pytest.mark.parametrize("flip", [True, False])
def test_without_flip_no_picture_is_mirrored(dataset, tmp_path, flip, place):
    ramp = np.broadcast_to(np.linspace(0, 250, 50).astype(np.uint8)[:, None], (40, 50, 3))  # brighter to the right
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    ramps = replace(dataset, pictures=(replace(dataset.pictures[1], path=tmp_path / "ramp.png"),))
    pictures = TrainingPictures(ramps, resolve_recipe("quick", flip=flip, augment="published", augment_on=place))
    batch = collate([pictures[epoch, 0, 300] for epoch in range(20)]).ready(torch.device("cpu"))
    left, right = batch.pictures[:, :, :150].float(), batch.pictures[:, :, 150:].float()
    mirrored = (left.mean((1, 2, 3)) > right.mean((1, 2, 3))).sum()
    assert (2 < mirrored < 18) if flip else mirrored == 0


def test_workers_change_nothing(dataset):
    pictures = TrainingPictures(dataset, resolve_recipe("modern", augment="modern", seed=1))
    alone = list(make_loader(pictures, EpochBatches(7, 2, seed=1), workers=0))
    shared = list(make_loader(pictures, EpochBatches(7, 2, seed=1), workers=2))
    for a, b in zip(alone, shared, strict=True):
        assert torch.equal(a.pictures, b.pictures)
        assert a.names == b.names
        assert a.truths.counts == b.truths.counts
        assert torch.equal(a.truths.rows, b.truths.rows)


@pytest.mark.posix
def test_shared_memory_that_holds_no_batch_is_an_error(dataset):
    from full_disk import files_of_at_most

    loader = make_loader(TrainingPictures(dataset, resolve_recipe("published")), EpochBatches(7, 2, seed=1), workers=1)
    with (
        files_of_at_most(1000),
        pytest.raises(ReaderLostError, match=r"/dev/shm.* docker run --shm-size .* --workers 0"),
    ):
        list(batches_of(loader))


def test_readers_that_cannot_be_started_are_an_error():
    def no_memory():
        raise OSError(28, "No space left on device")

    class Loader:
        __iter__ = staticmethod(no_memory)

    with pytest.raises(TrainingError, match=r"no process can be started .*No space left on device.*--workers 0"):
        list(batches_of(Loader()))


def test_a_worker_does_not_hold_all_pictures(dataset):
    """A large set takes hundreds of megabytes and many seconds to copy, and so it did for each worker."""
    loader = make_loader(TrainingPictures(dataset, resolve_recipe("quick")), EpochBatches(7, 2, seed=1), workers=0)
    held = pickle.dumps((loader.dataset, loader.collate_fn, loader.worker_init_fn))
    assert not any(str(picture.file_name).encode() in held for picture in dataset.pictures)
    keys, pictures = zip(*(item for batch in loader.batch_sampler for item in batch), strict=True)
    assert [picture.image_id for picture in pictures] == [index for _, index, _ in keys]


@pytest.mark.timeout(60)
def test_a_picture_that_cannot_be_sent_to_a_process_is_an_error(dataset):
    payload = SimpleNamespace(read=lambda: np.zeros((40, 50, 3), np.uint8))
    own = replace(dataset, pictures=tuple(replace(picture, payload=payload) for picture in dataset.pictures))
    here, sent = (
        make_loader(TrainingPictures(own, resolve_recipe("quick")), EpochBatches(7, 2, seed=1), workers)
        for workers in (0, 1)
    )
    assert len(list(batches_of(here))) == 4
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"(?i)can't pickle"):
        list(batches_of(sent))


def test_workers_of_a_loader_dropped_in_the_middle_end_well(dataset):
    many = replace(dataset, pictures=dataset.pictures * 200)
    others = active_children()

    def begin_and_drop() -> list[BaseProcess]:
        """In a frame of its own, as a coverage tool may keep the variables of one that still runs."""
        loader = make_loader(
            TrainingPictures(many, resolve_recipe("published", seed=1)), EpochBatches(len(many), 16, seed=1), workers=2
        )
        next(iter(loader))
        return [child for child in active_children() if child not in others]

    workers = begin_and_drop()
    for worker in workers:
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_collate_keeps_every_picture_s_boxes(dataset):
    pictures = TrainingPictures(dataset, resolve_recipe("published", augment="none", seed=1))
    batch = collate([pictures[0, 0, 300], pictures[0, 3, 300]])
    assert batch.pictures.shape == (2, 300, 300, 3)
    real = batch.truths.objects.labels > 0
    assert batch.truths.objects.pictures[real].tolist() == [1]


@pytest.mark.parametrize("spec", [None, SimpleNamespace(name="ssd300.__main__")])
def test_a_script_without_a_guard_is_not_run_by_the_processes(monkeypatch, spec):
    main = SimpleNamespace(__file__="train.py", __spec__=spec)
    monkeypatch.setitem(sys.modules, "__main__", main)
    again = {"init_main_from_path", "init_main_from_name"}
    assert again & spawn.get_preparation_data("reader").keys()
    with hidden_main():
        assert not again & spawn.get_preparation_data("reader").keys()
    assert (main.__file__, main.__spec__) == ("train.py", spec)


def test_a_notebook_has_no_file_afterwards_either(monkeypatch):
    main = SimpleNamespace(__spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with hidden_main():
        assert spawn.get_preparation_data("reader")
    assert vars(main) == {"__spec__": None}


def test_two_threads_may_start_processes_at_once(monkeypatch):
    main = SimpleNamespace(__file__="train.py", __spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    first, second = hidden_main(), hidden_main()
    first.__enter__()
    other = threading.Thread(target=second.__enter__)
    other.start()
    other.join(0.2)
    first.__exit__(None, None, None)
    other.join(20)
    second.__exit__(None, None, None)
    assert vars(main) == {"__file__": "train.py", "__spec__": None}
