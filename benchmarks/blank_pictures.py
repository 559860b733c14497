"""How many of 500 generated pictures of nothing give an object above score 0.3, in float and in INT8.

    python benchmarks/blank_pictures.py [--model default] [--pictures 500]

Plain colors, gradients, noise, textures, and blurred or dark frames, as training draws them, with another seed. The
frames are made from the photographs of `examples/images`. Needs `'.[train]'`.
"""

import argparse
from collections import Counter
from copy import deepcopy
from pathlib import Path

import numpy as np

from ssd300.detector import Detector
from ssd300.images.source import read_picture
from ssd300.learn.augment import Sample
from ssd300.learn.blanks import MAKERS, make_blank

EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/images/*.jpg"))
SCORE = 0.3


def blanks(count: int) -> list[tuple[str, np.ndarray]]:
    """Kind and pixels, uint8 [300, 300, 3], of pictures without objects."""
    rng, none = np.random.default_rng(500), np.zeros(0, bool)
    photographs = [read_picture(path)[0] for path in EXAMPLES]
    made = []
    for i in range(count):
        kind = MAKERS[deepcopy(rng).integers(len(MAKERS))].__name__  # what `make_blank` draws first
        rgb = photographs[i % len(photographs)]
        sample = Sample(rgb, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), none, none)
        made.append((kind, make_blank(sample, rng, 300).picture))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--pictures", type=int, default=500)
    options = parser.parse_args()
    kinds, pictures = zip(*blanks(options.pictures), strict=True)
    of_kind = Counter(kinds)
    for precision in ("f32", "int8"):
        detector = Detector.load(options.model, precision=precision)
        results = list(detector.detect_many(pictures, score_threshold=SCORE))
        names = Counter(name for result in results for name in result.names)
        most = ", ".join(f"{name} {count}" for name, count in names.most_common(5))
        hits = Counter(kind for kind, result in zip(kinds, results, strict=True) if len(result))
        print(f"{precision}: {hits.total()} of {len(pictures)} pictures with an object above {SCORE} ({most})")
        print("  " + ", ".join(f"{kind} {hits[kind]} of {count}" for kind, count in of_kind.items()))


if __name__ == "__main__":
    main()
