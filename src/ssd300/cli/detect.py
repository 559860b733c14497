"""`ssd300 detect`: find the objects in pictures, print them, and draw them."""

import glob
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from ssd300.cli import options as opt
from ssd300.digits import numbered
from ssd300.errors import ArgumentError


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Pictures (files, directories, globs, addresses, - for stdin), videos (files, cameras, streams), "
            ".txt lists of them.",
        ),
    ],
    model: opt.Model = "default",
    precision: opt.Precision = "auto",
    score_threshold: Annotated[float, opt.score_option("Show objects above this score.")] = 0.4,
    iou_threshold: opt.Iou = 0.5,
    max_detections: Annotated[int, opt.max_option("Most objects per picture.")] = 200,
    labels: Annotated[list[str] | None, opt.labels_option("Show only these classes, by name or id: person,dog")] = None,
    agnostic_nms: opt.AgnosticNms = False,
    clip: Annotated[bool, typer.Option("--clip/--no-clip", help="Clip boxes to the picture.")] = True,
    format: Annotated[
        Literal["table", "json", "jsonl", "csv", "coco", "yolo", "cvat", "fiftyone", "labelme", "labelstudio"],
        typer.Option("--format", help="Output on stdout."),
    ] = "table",
    save_dir: Annotated[Path | None, opt.save_dir_option("pictures")] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write drawn pictures, or no files.")] = True,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --name: drawn pictures go to DIR/NAME.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="With --project; NAME-2 if it exists.")] = None,
    crops: Annotated[
        bool, typer.Option("--crops", "--save-crop", help="Also write every object as a picture.")
    ] = False,
    save_txt: Annotated[bool, typer.Option("--save-txt", help="Also write YOLO labels.")] = False,
    font: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Font of the names.  [default: one with their characters]")
    ] = None,
    line_width: Annotated[
        int | None, typer.Option(min=1, help="Line width in pixels.  [default: by picture size]")
    ] = None,
    hide_labels: Annotated[bool, typer.Option("--hide-labels", help="Draw boxes without names.")] = False,
    hide_conf: Annotated[bool, typer.Option("--hide-conf", help="Draw names without scores.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Include sub-folders of a directory.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no table, and no messages but failures.")] = False,
    device: opt.Device = "cpu",
    threads: opt.Threads = None,
    decode: opt.JpegDecode = "exact",
    tiles: opt.TileGrid = None,
    overlap: opt.Overlap = opt.OVERLAP,
    every: Annotated[int, typer.Option(min=1, help="Videos: use every Nth frame.")] = 1,
    show: Annotated[bool, typer.Option("--show", help="Videos: show the drawn frames in a window.")] = False,
) -> None:
    """Find the objects in pictures and videos.

    Results go to stdout, drawn pictures and videos to runs/detect/<n>/.

    Exit code: 0 all done, 1 some pictures failed (listed at the end), 2 nothing could be done, 130 interrupted.
    """
    wanted = {"--crops": crops, "--save-txt": save_txt, "--save-dir": save_dir, "--project": project, "--name": name}
    if not save and (asked := [option for option, on in wanted.items() if on]):
        raise ArgumentError(f"{asked[0]} writes files and --no-save forbids it: drop one")
    drawing = {"--font": font, "--line-width": line_width, "--hide-labels": hide_labels, "--hide-conf": hide_conf}
    if not save and not show and (asked := [option for option, on in drawing.items() if on]):
        raise ArgumentError(f"{asked[0]} is for drawing, and with --no-save nothing is drawn: drop one")
    save_dir = choose_folder(save_dir, project, name)
    from ssd300.cli.detect_pictures import Output, run_pictures
    from ssd300.cli.saving import refuse_filled
    from ssd300.detector import Detector
    from ssd300.draw import DrawStyle
    from ssd300.images.folders import folder_of
    from ssd300.options import DetectOptions

    refuse_filled(save_dir)
    detector = Detector.load(model, precision=precision, device=device, threads=threads)
    options = DetectOptions(
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        labels=opt.split_labels(labels, detector.classes.names),
        decode=decode,
        agnostic_nms=agnostic_nms,
        clip=clip,
        keep_pixels=save,
        tiles=opt.read_tiles(tiles, overlap),
        overlap=overlap,
    )
    options.rows(detector.classes)  # report an unknown label before the first picture
    style = DrawStyle(font, not hide_labels, not hide_labels and not hide_conf, line_width)
    if save or show:
        _check_letters(() if hide_labels else detector.classes.names, font, quiet=quiet)
    if any(may_be_video(source) for source in sources):
        from ssd300.cli.video_sources import expand_lists, select_videos

        sources = expand_lists(sources)
        if videos := select_videos(sources):
            for_pictures = {
                "--crops": crops,
                "--save-txt": save_txt,
                "--recursive": recursive,
                "--decode": decode != "exact",
            }
            if asked := [option for option, on in for_pictures.items() if on]:
                raise ArgumentError(f"{asked[0]} applies only to pictures, and these are videos: remove it")
            from ssd300.cli.video import run_video
            from ssd300.cli.video_stream import VideoTask

            task = VideoTask(format, save, save_dir, every, show, style, quiet)
            raise typer.Exit(run_video(detector, videos, replace(options, keep_pixels=save or show), task))
    if every > 1 or show:
        raise ArgumentError(
            f"{'--show' if show else '--every'} applies only to videos, and these are pictures: remove it"
        )
    if recursive:
        sources = [os.path.join(glob.escape(top), "**", "*") if (top := folder_of(one)) else one for one in sources]
    output = Output(format, save, save_dir, style, crops, save_txt, quiet)
    raise typer.Exit(run_pictures(detector, sources, options, output))


def choose_folder(save_dir: Path | None, project: Path | None, name: str | None) -> Path | None:
    """--save-dir, or the folder of --project and --name: the first of NAME, NAME-2, ... that does not exist."""
    if project is None and name is None:
        return save_dir
    if save_dir is not None:
        raise ArgumentError("--save-dir names the folder, and so do --project and --name: give one or the other")
    folder = (project or Path("runs/detect")) / (name or "detect")
    if folder.name in ("", ".."):  # "." and folders above have no name that a number could follow
        return folder
    folders = (folder.with_name(one) for one in numbered(folder.name))
    return next(one for one in folders if not (one.is_dir() and any(one.iterdir())))


def may_be_video(source: str) -> bool:
    """Whether a source is a video, or a list or an address, which may be of videos."""
    from ssd300.images.video_names import is_video

    return is_video(source) or source.lower().endswith(".txt") or source.lower().startswith(("http://", "https://"))


def _check_letters(names: tuple[str, ...], font: Path | None, *, quiet: bool) -> None:
    """Report which characters of the names cannot be drawn. Raises ArgumentError if --font is not a font."""
    import warnings

    from ssd300.cli.messages import print_message
    from ssd300.lettering import MissingLetters, font_for, missing_letters

    font_for("", 16, font)
    if missing := missing_letters(names, font):
        if not quiet:
            print_message(f"no font was found for {missing[:40]!r}, drawn as empty squares: give one with --font FILE")
        warnings.simplefilter("ignore", MissingLetters)
