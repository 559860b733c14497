"""`ssd300 track`: track the objects in videos, cameras and streams, and count them at lines and in zones."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssd300.cli import options as opt
from ssd300.errors import ArgumentError


def track(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Videos, camera numbers, stream addresses, or a .txt list of them."),
    ],
    model: opt.Model = "default",
    precision: opt.Precision = "auto",
    score_threshold: Annotated[float, opt.score_option("A track starts above this score.")] = 0.4,
    iou_threshold: opt.Iou = 0.5,
    max_detections: Annotated[int, opt.max_option("Most objects per frame.")] = 200,
    labels: Annotated[
        list[str] | None, opt.labels_option("Track only these classes, by name or id: person,dog")
    ] = None,
    lost_seconds: Annotated[float, typer.Option(min=0, help="A lost object keeps its id for this long.")] = 1.0,
    line: Annotated[
        list[str] | None,
        typer.Option(metavar="X1,Y1,X2,Y2[:anchor]", help="Count objects that cross this line, in and out."),
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(metavar="X1,Y1,X2,Y2,...[:anchor]", help="Count objects in this polygon, and their time in it."),
    ] = None,
    tiles: opt.TileGrid = None,
    overlap: opt.Overlap = opt.OVERLAP,
    every: Annotated[int, typer.Option(min=1, help="Use every Nth frame.")] = 1,
    format: Annotated[
        Literal["table", "jsonl", "csv", "mot"], typer.Option("--format", help="Output on stdout.")
    ] = "table",
    save_dir: Annotated[Path | None, opt.save_dir_option("videos")] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write drawn videos, or no files.")] = True,
    show: Annotated[bool, typer.Option("--show", help="Show the drawn frames in a window.")] = False,
    agnostic_nms: opt.AgnosticNms = False,
    device: opt.Device = "cpu",
    threads: opt.Threads = None,
) -> None:
    """Track the objects in videos, and count them.

    Ids start at 1 in each class. Counts follow as JSON at the end.

    Exit code: 0 all done, 1 some sources failed, 2 nothing could be done, 130 interrupted.
    """
    if not save and save_dir:
        raise ArgumentError("--save-dir writes files and --no-save forbids it: drop one")
    from ssd300.cli.saving import refuse_filled
    from ssd300.cli.video import run_video
    from ssd300.cli.video_sources import expand_lists
    from ssd300.cli.video_stream import VideoTask, parse_line, parse_zone
    from ssd300.detector import Detector
    from ssd300.options import DetectOptions

    refuse_filled(save_dir)
    given = expand_lists(sources)
    lines, zones = [parse_line(text) for text in line or ()], [parse_zone(text) for text in zone or ()]
    detector = Detector.load(model, precision=precision, device=device, threads=threads)
    options = DetectOptions(
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        labels=opt.split_labels(labels, detector.classes.names),
        agnostic_nms=agnostic_nms,
        clip=True,
        keep_pixels=True,
        tiles=opt.read_tiles(tiles, overlap),
        overlap=overlap,
    )
    rows = options.rows(detector.classes)
    if format == "mot":
        _check_mot(given, len(detector.classes) + 1 if rows is None else len(rows))
    task = VideoTask(
        format, save, save_dir, every, show, tracked=True, lost_seconds=lost_seconds, lines=lines, zones=zones
    )
    raise typer.Exit(run_video(detector, given, options, task))


def _check_mot(sources: list[str], rows: int) -> None:
    """Raise ArgumentError unless it is one video and one class besides the background: a MOT file names neither."""
    if len(sources) != 1 or rows != 2:
        found = f"{len(sources)} sources" if len(sources) != 1 else f"{rows - 1} classes"
        raise ArgumentError(
            f"--format mot is for one video and one class, since ids are per class, and these are {found}: "
            "name the class with --labels, or use --format jsonl"
        )
