"""Verify that an exported file gives the same detections, before it is moved into place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import Float32, Int64, UInt8
from ssd300.errors import ModelError
from ssd300.flow import prepare
from ssd300.images.source import expand
from ssd300.options import DetectOptions
from ssd300.postprocess import decode, select
from ssd300.priors import NUM_PRIORS
from ssd300.runtime.base import Candidates

Infer = Callable[[UInt8], list[Candidates]]  # uint8 [B, 300, 300, 3] -> boxes and probabilities of all priors
Selection = tuple[Float32, Int64, Float32]  # boxes_xyxy [N, 4], labels [N] from 1, scores [N]

# Largest difference of a box (unit frame) or probability. Float32 kernels differ by about 1e-5 between libraries;
# float16 kernels moved seeded networks by up to 3e-3. Two libraries in INT8 round activations near a half to different
# levels, which moves a few priors by tenths: there one number in a thousand may differ by more.
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "int8": 0.2}
SHARE = {"float32": 1.0, "float16": 1.0, "int8": 0.999}
_EQUAL_SHARE = 0.995  # of the detections: rounding may move a score or an IoU across a threshold
_EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "images"  # in a clone only


@dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        pictures: their number
        against: what the exported model was compared with
        boxes: the largest difference of boxes
        probabilities: the largest difference of probabilities
        equal: number of equal detections
        detections: number of all detections
        share: the fraction of the numbers that is compared; the largest differences are left out
    """

    pictures: int
    against: str
    boxes: float
    probabilities: float
    equal: int
    detections: int
    share: float = 1.0

    def __str__(self) -> str:
        most = "" if self.share == 1 else f" in {100 * self.share:g} % of the numbers"
        return (
            f"{self.pictures} pictures against {self.against}: boxes differ by at most {self.boxes:.1e} (unit frame), "
            f"probabilities by {self.probabilities:.1e}{most}; detections equal: {self.equal} of {self.detections}"
        )


def make_comparison_pictures(more: Any = ()) -> UInt8:
    """Pictures [B, 300, 300, 3] to compare on: seeded blocks and noise, the photographs of a clone, and `more`.

    `more` is what `Detector.detect_many` takes: one source or several.
    """
    draw = np.random.default_rng(20061)
    blocks = draw.integers(0, 256, (12, 12, 3)).repeat(25, 0).repeat(25, 1)
    blocks = np.clip(blocks + draw.integers(-25, 26, (300, 300, 3)), 0, 255)
    noise = draw.integers(0, 256, (300, 300, 3))
    photographs = [*sorted(_EXAMPLES.glob("*.jpg")), *expand(more)]
    return np.stack(
        [blocks.astype(np.uint8), noise.astype(np.uint8), *(prepare(p, DetectOptions()).pixels for p in photographs)]
    )


def verify(
    reference: Infer,
    exported: Infer,
    pictures: UInt8,
    *,
    against: str,
    tolerance: float,
    share: float = 1.0,
    least_score: float = 0.0,
    detect: Callable[[UInt8], Selection] | None = None,
    **thresholds: Any,
) -> Verification:
    """Compare an exported model with a reference on pictures.

    share: the fraction of the numbers of each picture that must be within the tolerance.
    least_score: boxes of priors without an object above it on either side are not compared. In INT8, offsets outside of
        the calibrated range are cut, and sizes are their exponentials.
    detect: the selection inside the file, one picture [300, 300, 3] -> its detections. It must agree with
        `postprocess.select` on the file's own candidates; without it, the detections counted are those that `select`
        makes of both sides' candidates.
    thresholds: those of `postprocess.select`.

    Raises ModelError with the differences if one is above the tolerance.
    """
    boxes = probabilities = 0.0
    equal = detections = 0
    for picture in pictures:
        [ours], [theirs] = reference(picture[None]), exported(picture[None])
        # np.maximum, not max: NaN stays NaN. Background is 1 minus the objects.
        moved = _difference(ours[1][1:], theirs[1][1:], share)
        probabilities = float(np.maximum(probabilities, moved))
        if np.isfinite(moved):
            counts = np.maximum(ours[1][1:].max(0), theirs[1][1:].max(0)) >= least_score  # [P]
            boxes = float(np.maximum(boxes, _difference(ours[0][counts], theirs[0][counts], share)))
        if detect:
            expected, found, within = select(*theirs, **thresholds), detect(picture), TOLERANCE["float32"]
        else:
            expected, found, within = select(*ours, **thresholds), select(*theirs, **thresholds), tolerance
        equal += count_equal(expected, found, within)
        detections += max(len(expected[1]), len(found[1]))
    result = Verification(len(pictures), against, boxes, probabilities, equal, detections, share)
    wrong_selection = detect is not None and equal < _EQUAL_SHARE * detections
    if not (boxes <= tolerance and probabilities <= tolerance) or wrong_selection:  # so that NaN is also refused
        raise ModelError(
            f"the exported model gives other results, so it was not written: {result}; the tolerance is {tolerance:.0e}"
            f"{' and the same detections' if detect else ''}. If the weights are valid, please report this"
        )
    return result


def verify_tail(run: Callable[[Float32, Float32], Selection], num_classes: int, **thresholds: Any) -> None:
    """Compare a selection from raw heads, locs (4, P) and logits (K, P), with ours on hundreds of overlapping boxes.

    A good detector may find nothing in the seeded pictures; this always has detections. Raises ModelError.
    """
    draw = np.random.default_rng(20061)
    locs = draw.uniform(-1, 1, (4, NUM_PRIORS)).astype(np.float32)
    logits = draw.uniform(-1, 1, (num_classes, NUM_PRIORS)).astype(np.float32)
    logits[0] += 9
    for start in draw.integers(0, NUM_PRIORS - 64, 60):  # clusters: neighbors of one class
        logits[draw.integers(1, min(num_classes, 7)), start : start + 64] = draw.uniform(5, 12, 64)
    expected, found = decode(locs, logits, **thresholds), run(locs, logits)
    equal, detections = count_equal(expected, found, TOLERANCE["float32"]), max(len(expected[1]), len(found[1]))
    if equal < _EQUAL_SHARE * detections:
        raise ModelError(f"the selection inside the exported model gives {equal} of {detections} equal detections")


def count_equal(a: Selection, b: Selection, tolerance: float) -> int:
    """The number of detections of a with a distinct partner in b: same label, box and score within the tolerance."""
    free = np.ones(len(b[1]), bool)
    for box, label, score in zip(*a, strict=True):
        near = np.abs(b[0] - box).max(1, initial=0) <= tolerance
        partners = (b[1] == label) & near & (np.abs(b[2] - score) <= tolerance)
        free[np.flatnonzero(partners & free)[:1]] = False
    return int((~free).sum())


def _difference(a: Float32, b: Float32, share: float) -> float:
    if a.shape != b.shape:
        return float("inf")
    # Boxes far outside the picture grow exponentially: their difference is relative.
    differences = np.abs(a - b) / np.maximum(np.abs(a), 1)
    return float(np.quantile(differences, share)) if differences.size else 0.0
