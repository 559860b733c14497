"""One video, camera or stream of `ssd300 detect` and `ssd300 track`: its tracker, counts and drawn video."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ssd300.cli.saving import OutputFolder
from ssd300.draw import DrawStyle
from ssd300.errors import ArgumentError
from ssd300.images.addresses import local_path
from ssd300.images.video_names import is_camera, is_stream, shown_name
from ssd300.images.video_write import VideoWriter
from ssd300.tracking.bytetrack import Tracker
from ssd300.tracking.counting import Line, Zone
from ssd300.video import FrameDetections


@dataclass(frozen=True)
class VideoTask:
    """What to do with each frame, from the options of the command line."""

    format: str
    save: bool = True  # write drawn videos
    save_dir: Path | None = None
    every: int = 1
    show: bool = False
    style: DrawStyle | None = None
    quiet: bool = False
    tracked: bool = False
    lost_seconds: float = 1.0
    lines: Sequence[Line] = ()  # each stream counts with copies of its own
    zones: Sequence[Zone] = ()


@dataclass
class VideoStream:
    """One source and its state between frames."""

    name: str
    tracker: Tracker | None
    lines: list[Line]
    zones: list[Zone]
    writer: VideoWriter | None = None
    size_hw: tuple[int, int] = (0, 0)  # of the newest frame
    seen: Counter[str] = field(default_factory=Counter)  # the largest id of each class

    def take(self, answer: FrameDetections) -> FrameDetections:
        """Add track ids to the result of a frame; update lines and zones."""
        if self.tracker is None:
            return answer
        tracks = self.tracker.update(answer.detections, answer.time_s)
        for line in self.lines:
            line.update(tracks)
        for zone in self.zones:
            zone.update(tracks, answer.time_s)
        assert tracks.track_ids is not None
        for name, track_id in zip(tracks.names, tracks.track_ids.tolist(), strict=True):
            self.seen[name] = max(self.seen[name], track_id)
        return replace(answer, detections=tracks)

    def totals(self) -> dict[str, object]:
        return {
            "source": self.name,
            "tracks": dict(sorted(self.seen.items())),
            "lines": [line.totals() for line in self.lines],
            "zones": [zone.totals() for zone in self.zones],
        }


def stream_of(source: str, task: VideoTask, folder: OutputFolder | None, threshold: float) -> VideoStream:
    """The stream of a source; its drawn video goes to the folder."""
    tracker = Tracker(score_threshold=threshold, lost_seconds=task.lost_seconds) if task.tracked else None
    stream = VideoStream(shown_name(source), tracker, deepcopy(list(task.lines)), deepcopy(list(task.zones)))
    if folder is not None:
        path = folder.video_path(stream.name.rstrip("/"))
        file = None if is_camera(source) or is_stream(source) else Path(local_path(source))
        stream.writer = VideoWriter(path, source=file, sound=task.every == 1)
    return stream


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
