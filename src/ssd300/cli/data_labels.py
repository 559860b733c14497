"""`ssd300 data autolabel` and `ssd300 data rank`: help with labeling from a model."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ssd300.cli.messages import print_failures, say
from ssd300.cli.options import Model, labels_option, score_option, split_labels
from ssd300.errors import ArgumentError, ImageError
from ssd300.terminal import as_shown

if TYPE_CHECKING:
    from ssd300.detector import Failure
    from ssd300.images.source import Source


def autolabel(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The new COCO JSON file.")],
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE...]", help="Picture files, directories or globs.")
    ] = None,
    add_to: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Instead of SOURCE: a labeled set, whose boxes stay; the model adds its other classes."
        ),
    ] = None,
    model: Model = "default",
    score_threshold: Annotated[float, score_option("Keep detections above this score.")] = 0.3,
    labels: Annotated[list[str] | None, labels_option("Only these classes, by name or id: person,dog")] = None,
) -> None:
    """Write a model's detections as a data set to correct.

    With --add-to beside your own boxes. The file is COCO JSON with the score of each box; pictures are not copied.

    Exit code: 0 all done, 1 some pictures could not be read, 2 nothing could be done.
    """
    from ssd300.data.autolabel import add_boxes
    from ssd300.data.autolabel import autolabel as label
    from ssd300.data.coco.write import write_coco
    from ssd300.data.load import load_training
    from ssd300.data.writing import new_files
    from ssd300.detector import Detector
    from ssd300.files import path_from
    from ssd300.options import DetectOptions

    if bool(sources) == (add_to is not None):
        raise ArgumentError("give pictures, or with --add-to DATA a labeled data set: one of the two")
    new_files([out])
    labeled = None if add_to is None else load_training(add_to)
    if labeled is not None:
        if any(picture.payload for picture in labeled.pictures):
            raise ArgumentError(
                f"{add_to}: COCO JSON cannot name pictures of a packed set: add to the original, then pack"
            )
        say(labeled.summary())  # the part that is used, and the boxes that are left out
    detector = Detector(model)
    options = DetectOptions(score_threshold=score_threshold, labels=split_labels(labels, detector.classes.names))
    options.rows(detector.classes)
    if labeled is None:
        dataset, failures = label(detector, _each_file_once(sources), options)
    else:
        dataset, failures = add_boxes(detector, labeled, options)
    if not len(dataset):
        _refuse_nothing("label", failures)
    places = [path_from(out.parent, picture.path) for picture in dataset.pictures]
    write_coco(out, dataset, places)
    added = "" if labeled is None else f", {dataset.num_boxes - labeled.num_boxes} of them by the model"
    say(f"{len(dataset)} pictures, {dataset.num_boxes} boxes{added}")
    typer.echo(out)
    _finish(failures)


def rank(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Picture files, directories or globs.")],
    model: Model = "default",
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Only the first.  [default: all]")] = None,
) -> None:
    """Rank pictures by how useful labeling them would be.

    CSV on stdout, the most uncertain picture first: source, uncertainty, detections.

    Exit code: 0 all done, 1 some pictures could not be read, 2 nothing could be done.
    """
    from ssd300.data.autolabel import rank as ranking
    from ssd300.detector import Detector
    from ssd300.formats import csv_text

    ranked, failures = ranking(Detector(model), _each_file_once(sources))
    if not ranked:
        _refuse_nothing("rank", failures)
    rows = [(one.source, f"{one.uncertainty:.4f}", one.detections) for one in ranked[:count]]
    sys.stdout.write(as_shown(csv_text([("source", "uncertainty", "detections"), *rows]), sys.stdout))
    _finish(failures)


def _each_file_once(sources: Sequence[str] | None) -> "Iterator[Source]":
    """The pictures of the sources; a file that several of them name comes once."""
    from ssd300.images.addresses import local_path
    from ssd300.images.source import expand

    seen: set[str] = set()
    for source in expand(sources, tell=say):
        place = source.name
        with suppress(ImageError):  # of another machine: reported when it is opened
            place = os.path.realpath(local_path(place))
        if place not in seen:
            seen.add(place)
            yield source


def _refuse_nothing(verb: str, failures: "list[Failure]") -> NoReturn:
    if failures:
        raise ImageError(f"nothing to {verb}: {failures[0].error}") from failures[0].error
    raise ImageError(f"nothing to {verb}: no pictures")


def _finish(failures: "list[Failure]") -> None:
    print_failures(failures, "failed: ")
    if failures:
        raise typer.Exit(1)
