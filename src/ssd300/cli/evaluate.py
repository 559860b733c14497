"""`ssd300 evaluate`: the COCO metrics of a model on a data set, with an interval, and a report on lost AP."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.cli import options as opt
from ssd300.cli.messages import ProgressLine, print_failures, print_json, say
from ssd300.digits import counted
from ssd300.errors import ArgumentError
from ssd300.terminal import printable

if TYPE_CHECKING:
    from ssd300.detector import Detector
    from ssd300.evaluate.run import Evaluation

_TRACK_SCORES = {
    "hota": "HOTA: detection and association, over all IoU thresholds",
    "detection_accuracy": "DetA: detection accuracy",
    "association_accuracy": "AssA: association accuracy (ids)",
    "localization_accuracy": "LocA: mean IoU of matched boxes",
    "idf1": "IDF1: F1 score of boxes with the correct id",
    "mota": "MOTA: 1 minus the rate of misses, false positives and id switches",
    "motp": "MOTP: mean IoU of boxes matched at 0.5",
}


def evaluate(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Option(metavar="PATH", help="COCO JSON, YOLO data.yaml, VOC folder or packed file; may be repeated."),
    ],
    model: opt.Model = "default",
    split: Annotated[
        str | None, typer.Option(help="Its part: train, val, test, train+val or all.  [default: the only one]")
    ] = None,
    input_format: opt.InputFormat = None,
    format: Annotated[str | None, typer.Option(hidden=True)] = None,  # its former name
    runtime: opt.RuntimeName = "auto",
    precision: opt.Precision = "auto",
    device: opt.Device = "cpu",
    threads: opt.Threads = None,
    score_threshold: Annotated[float, opt.score_option("Count detections above this score.")] = 0.05,
    iou_threshold: opt.Iou = 0.5,
    max_detections: Annotated[int, opt.max_option("Most detections per picture.")] = 200,
    published: Annotated[
        bool, typer.Option("--published", help="Leave out pictures without boxes, as the published code does.")
    ] = False,
    decode: opt.JpegDecode = "exact",
    tiles: opt.TileGrid = None,
    overlap: opt.Overlap = opt.OVERLAP,
    tracks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score these MOT tracks; --data is the ground truth, a MOT file."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write report.html and report.json here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All numbers as JSON on stdout.")] = False,
) -> None:
    """Measure a model's COCO AP (also called mAP) on a data set.

    The twelve COCO metrics; AP and AP50 with a 95 % interval.

    Exit code: 0 all done, 1 some pictures could not be read (they count as empty), 2 nothing could be done.
    """
    if format is not None:
        say("Note: --format is now --input-format; the next version drops the old name.")
        input_format = input_format or format
    if tracks is not None:
        for given in context.command.params:
            source = context.get_parameter_source(given.name or "")
            asked = source is not None and source.name == "COMMANDLINE"
            if asked and given.name not in ("data", "tracks", "as_json"):
                raise ArgumentError(f"{given.opts[0]} is for measuring a model, and --tracks scores a file: drop it")
        print_track_scores(data, tracks, as_json=as_json)
        return
    from ssd300.data.load import load_dataset
    from ssd300.detector import Detector
    from ssd300.evaluate import figures, run
    from ssd300.evaluate.coco import require_hotcoco
    from ssd300.evaluate.diagnosis import diagnose
    from ssd300.evaluate.report import refuse_unwritable, report_numbers, write_report

    require_hotcoco()
    if report:
        refuse_unwritable(report)
        figures.require_matplotlib()  # an error before an hour of detection, not after
    dataset = load_dataset(data[0] if len(data) == 1 else data, format=input_format, split=split)
    detector = Detector.load(model, runtime=runtime, precision=precision, device=device, threads=threads)
    try:
        with ProgressLine() as line:
            evaluation = run.evaluate(
                detector,
                dataset,
                score_threshold=score_threshold,
                iou_threshold=iou_threshold,
                max_detections=max_detections,
                published=published,
                decode=decode,
                tiles=opt.read_tiles(tiles, overlap),
                overlap=overlap,
                progress=line.show,
            )
    except KeyboardInterrupt:
        say("Interrupted: AP needs all pictures, so nothing is written.")
        raise typer.Exit(130) from None
    about = {"file": model, **_about(detector)}
    if as_json:
        diagnosis = diagnose(evaluation.dataset, evaluation.results, unread=evaluation.failures)
        numbers = report_numbers(evaluation, diagnosis, model=about)
        print_json(numbers, indent=1)
    else:
        _print_table(evaluation)
    _explain(evaluation, about, write_report(evaluation, report, model=about) if report else None)
    raise typer.Exit(1 if evaluation.failures else 0)


def _about(detector: "Detector") -> dict[str, Any]:
    """The metadata of the model and the runtime."""
    metadata: dict[str, Any] = json.loads(detector.metadata.to_json())
    metadata["classes"] = len(metadata["classes"])
    ran = {"runtime": detector.runtime.name, "precision": detector.runtime.precision}
    return ran | {name: value for name, value in metadata.items() if value is not None}


def _print_table(evaluation: "Evaluation") -> None:
    from ssd300.evaluate.coco import STAT_NAMES, STAT_WORDS

    print(printable(str(evaluation)))
    for name, words, value in zip(STAT_NAMES, STAT_WORDS, evaluation.metrics.stats.tolist(), strict=True):
        print(f"  {name:<10} {'–' if value < 0 else f'{value:.3f}':>5}   {words}")


def _explain(evaluation: "Evaluation", model: dict[str, Any], page: Path | None) -> None:
    """Print warnings about the numbers, failures and the path of the report to stderr."""
    from ssd300.evaluate.notes import list_warnings
    from ssd300.evaluate.report import report_numbers

    for words in list_warnings(report_numbers(evaluation, model=model)):
        say(f"Note: {words}")
    print_failures(evaluation.failures.values())
    rate = len(evaluation.dataset) / max(evaluation.seconds, 1e-9)
    say(f"{counted(len(evaluation.dataset), 'picture')} in {evaluation.seconds:.1f} s ({rate:.1f}/s).")
    if page:
        say(f"Report: {page}")


def print_track_scores(data: list[str], tracks: Path, *, as_json: bool) -> None:
    """Print the scores of a MOT file against the ground truth, a MOT file or a sequence folder. Raises DatasetError."""
    from ssd300.tracking.mot import read_mot, score_mot

    if len(data) != 1:
        raise ArgumentError(f"--tracks is scored against one file of ground truth, and --data names {len(data)}")
    truth = Path(data[0])
    if truth.is_dir():  # a sequence in the layout of the MOT challenge
        truth = truth / "gt" / "gt.txt"
    true_tracks, own_tracks = read_mot(truth), read_mot(tracks)
    scores = asdict(score_mot(true_tracks, own_tracks))
    if (0 in own_tracks.frames) != (0 in true_tracks.frames):
        words = f"Frame 0 is only in one of {truth} and {tracks}: are the frames of both counted from 1?"
        say(words)
    if as_json:
        print_json(scores, indent=1)
        return
    for name, words in _TRACK_SCORES.items():
        print(f"  {scores[name]:.3f}   {words}")
    for name in ("matches", "misses", "false_positives", "id_switches"):
        print(f"  {scores[name]:5d}   {name.replace('_', ' ')}")
