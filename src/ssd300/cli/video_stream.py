"""One video, camera or stream of `ssd300 detect` and `ssd300 track`: its tracker, counts and drawn video."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssd300.cli.counting import parse_line, parse_zone
from ssd300.cli.saving import OutputFolder
from ssd300.draw import DrawStyle
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
    lines: Sequence[str] = ()
    zones: Sequence[str] = ()


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
    lines, zones = [parse_line(text) for text in task.lines], [parse_zone(text) for text in task.zones]
    stream = VideoStream(shown_name(source), tracker, lines, zones)
    if folder is not None:
        path = folder.new_path(stream.name.rstrip("/"), ".mp4")
        file = None if is_camera(source) or is_stream(source) else Path(local_path(source))
        stream.writer = VideoWriter(path, source=file, sound=task.every == 1)
    return stream
