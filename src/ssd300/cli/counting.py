"""The options --line and --zone of `ssd300 track`: from text to lines and zones."""

from collections.abc import Iterator, Sequence

import numpy as np

from ssd300.errors import ArgumentError
from ssd300.tracking.counting import Line, Zone


def check_counting(lines: Sequence[str], zones: Sequence[str]) -> None:
    """Raise ArgumentError unless these are lines and zones. Call it before a model is loaded."""
    for text in lines:
        parse_line(text)
    for text in zones:
        parse_zone(text)


def describe_outside(lines: Sequence[Line], zones: Sequence[Zone], size_hw: tuple[int, int]) -> Iterator[str]:
    """A message for each line and zone that hardly any object in frames of this size can reach."""
    height, width = size_hw
    shapes = [("--line", [line.start, line.end]) for line in lines] + [("--zone", zone.polygon) for zone in zones]
    for option, points in shapes:
        left, top = np.min(points, axis=0)
        right, bottom = np.max(points, axis=0)
        gap = max(left - width, top - height, -right, -bottom)
        if gap >= -1:  # at the edge nothing crosses, as boxes are clipped; also coordinates from 0 to 1
            given = ",".join(f"{number:g}" for point in points for number in point)
            place, little = ("outside", "nothing") if gap > 0 else ("at the edge", "little or nothing")
            yield f"{option} {given} is {place} of the frames, which have {width}x{height} pixels: it counts {little}"


def parse_line(text: str) -> Line:
    """The value of --line. Raises ArgumentError."""
    numbers, anchor = _parse_numbers("--line", text, "X1,Y1,X2,Y2")
    if len(numbers) != 4:
        raise ArgumentError(f"--line {text}: expected X1,Y1,X2,Y2 in pixels, got {len(numbers)} numbers")
    return Line((numbers[0], numbers[1]), (numbers[2], numbers[3]), anchor=anchor)


def parse_zone(text: str) -> Zone:
    """The value of --zone. Raises ArgumentError."""
    numbers, anchor = _parse_numbers("--zone", text, "X1,Y1,X2,Y2,X3,Y3,...")
    if len(numbers) < 6 or len(numbers) % 2:
        raise ArgumentError(f"--zone {text}: expected X1,Y1,X2,Y2,X3,Y3,... in pixels, got {len(numbers)} numbers")
    return Zone(list(zip(numbers[::2], numbers[1::2], strict=True)), anchor=anchor)


def _parse_numbers(option: str, text: str, expected: str) -> tuple[list[float], str]:
    """The coordinates of an option, and the anchor that may follow after a colon."""
    values, _, anchor = text.partition(":")
    try:
        return [float(value) for value in values.split(",")], anchor or "bottom"
    except ValueError as error:
        raise ArgumentError(
            f"{option} {text}: expected {expected} in pixels, optionally followed by :anchor"
        ) from error
