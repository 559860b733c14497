"""How many of 500 generated pictures of nothing give an object above score 0.3, in float and in INT8.

    python benchmarks/blank_pictures.py [--model default] [--pictures 500]

Plain colors, gradients, noise, textures, and blurred or dark frames, as training draws them, with another seed. The
frames are made from the photographs of `examples/images`. Needs `'.[train]'`.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from ssd300.detector import Detector
from ssd300.images.source import read_picture
from ssd300.learn.augment import Sample
from ssd300.learn.blanks import make_blank

EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/images/*.jpg"))
SCORE = 0.3


def blanks(count: int) -> list[np.ndarray]:
    """Pictures without objects, uint8 [300, 300, 3]."""
    rng, none = np.random.default_rng(500), np.zeros(0, bool)
    photographs = [read_picture(path)[0] for path in EXAMPLES]
    return [
        make_blank(
            Sample(photographs[i % len(photographs)], np.zeros((0, 4), np.float32), np.zeros(0, np.int64), none, none),
            rng,
            300,
        ).picture
        for i in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--pictures", type=int, default=500)
    options = parser.parse_args()
    pictures = blanks(options.pictures)
    for precision in ("f32", "int8"):
        detector = Detector.load(options.model, precision=precision)
        results = list(detector.detect_many(pictures, score_threshold=SCORE))
        names = Counter(name for result in results for name in result.names)
        most = ", ".join(f"{name} {count}" for name, count in names.most_common(5))
        hits = sum(len(result) > 0 for result in results)
        print(f"{precision}: {hits} of {len(pictures)} pictures with an object above {SCORE} ({most})")


if __name__ == "__main__":
    main()
