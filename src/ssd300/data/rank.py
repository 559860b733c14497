"""Rank pictures for labeling: those with the most uncertain detections first.

The measure is the sum over a picture's detections of (1 - |p - (1 - p)|) squared, with p the score: 1 for a score of
0.5, 0 for 0 and 1 (Brust, Kaeding and Denzler 2019, "Active Learning for Deep Object Detection", 1-vs-2 margin with
sum). Pictures with many uncertain objects come first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ssd300.detections import Detections
from ssd300.detector import Detector, Failure
from ssd300.options import DetectOptions

SCORE_FLOOR = 0.05  # below it almost everything is background


@dataclass(frozen=True)
class Ranked:
    """A picture with its uncertainty (at least 0) and the number of detections in the sum."""

    source: str
    uncertainty: float
    detections: int


def uncertainty(found: Detections) -> float:
    """The uncertainty of one picture's detections; 0 without any."""
    return float(((1 - abs(2 * found.scores.astype(float) - 1)) ** 2).sum())


def rank(
    detector: Detector, sources: Iterable[Any], options: DetectOptions | None = None
) -> tuple[list[Ranked], list[Failure]]:
    """The pictures, most uncertain first (equal ones by name), and those that could not be read.

    Detections above SCORE_FLOOR count; the score threshold of `options` is not used.
    """
    ranked: list[Ranked] = []
    failures: list[Failure] = []
    counted = replace(options or DetectOptions(), score_threshold=SCORE_FLOOR)
    for found in detector.detect_many(sources, counted, on_error="yield"):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            ranked.append(Ranked(found.source or "", uncertainty(found), len(found)))
    return sorted(ranked, key=lambda one: (-one.uncertainty, one.source)), failures
