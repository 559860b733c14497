"""`ssd300 benchmark`: how fast it is on this machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.errors import ArgumentError, MissingExtraError, unknown_name

if TYPE_CHECKING:
    from ssd300.benchmark.measure import Budget, Measured

_DETECTING = ("latency", "throughput", "stages")
_TRAINING = ("train-step", "loader")
_WARMUP = {"latency": 5, "throughput": 8, "stages": 5, "cold-start": 1, "train-step": 1, "loader": 2}
_APPLIES = {  # an option -> what it has a meaning for; all others have one for everything
    "runtime": _DETECTING,
    "model": (*_DETECTING, "cold-start"),
    "precision": (*_DETECTING, "cold-start", "train-step"),
    "device": (*_DETECTING, "train-step"),
    "threads": (*_DETECTING, "cold-start", "train-step"),
    "score_threshold": _DETECTING,
    "images": (*_DETECTING, "cold-start", "loader"),
    "backbone": ("train-step",),
    "recipe": _TRAINING,
    "batch_size": _TRAINING,
    "workers": ("loader",),
}


def benchmark(
    what: Annotated[str, typer.Option(help=f"{', '.join(_WARMUP)}.")] = "latency",
    model: Annotated[
        str | None, typer.Option(help="A name that `ssd300 models` lists, or a model file.  [default: default]")
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="auto, openvino, onnx or torch.  [default: auto]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, f32, bf16 or int8; train-step: auto, f32, bf16 or f16.  [default: auto]")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, or for torch also cuda.  [default: cpu; train-step: auto]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.  [default: all that are allowed]", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Pictures: directory, glob or file.  [default: generated pictures]"),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option("--score-threshold", "--conf", min=0, max=1, help="Of detections.  [default: 0.4]"),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="resnet18, resnet34, resnet50, resnet101 or resnet152.  [default: resnet18]")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="published, quick or modern.  [default: published]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures a step.  [default: the recipe's]", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that load pictures.  [default: 1]", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Approximate duration of the measurement.")] = 10.0,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Number of calls to measure instead of a duration.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(min=0, help="Calls before that do not count.  [default: a few]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Measure the speed of this machine.

    Median, 95th percentile, pictures a second and memory of detecting or training.

    latency: a file to its detections, one at a time. throughput: many files, overlapped, and what share of the
    network's own rate that is. stages: where the time of a picture goes. cold-start: whole commands, each in a fresh
    process. train-step, loader: the two halves of training (need ssd300[train]).
    """
    if what not in _WARMUP:
        raise unknown_name("--what", what, _WARMUP)
    given = {name: value for name, value in locals().items() if name in _APPLIES and value is not None}
    _check(what, given)
    from ssd300.benchmark.measure import Budget
    from ssd300.cli.benchmark_report import print_table, report, to_json

    budget = Budget(seconds, repeats, _WARMUP[what] if warmup is None else warmup)
    amount = f"{repeats} calls" if repeats else f"{seconds:g} s"
    print(f"Measuring {what} for {amount}; let the machine do nothing else meanwhile.", file=sys.stderr)
    try:
        settings, measured = _measure(what, given, budget)
    except KeyboardInterrupt:
        print("Interrupted: a part of a measurement is none, so nothing is shown.", file=sys.stderr)
        raise typer.Exit(130) from None
    numbers = report(what, settings | {"warm-up calls": budget.warmup}, measured)
    print(to_json(numbers)) if as_json else print_table(numbers)


def _check(what: str, given: dict[str, Any]) -> None:
    """Raise ArgumentError for an option that would be ignored."""
    for name in given:
        if what not in _APPLIES[name]:
            option, fits = f"--{name.replace('_', '-')}", ", ".join(_APPLIES[name])
            raise ArgumentError(f"{option} has no meaning for --what {what}: leave it out; it is for {fits}")


def _measure(what: str, given: dict[str, Any], budget: "Budget") -> tuple[dict[str, Any], "Measured"]:
    """(how it was measured, what was measured)"""
    if what in _DETECTING:
        return _detecting(what, given, budget)
    if what == "cold-start":
        return _cold_start(given, budget)
    return _train_step(given, budget) if what == "train-step" else _loader(given, budget)


def _detecting(what: str, given: dict[str, Any], budget: "Budget") -> tuple[dict[str, Any], "Measured"]:
    from ssd300.benchmark import detecting
    from ssd300.detector import Detector

    measures = {"latency": detecting.latency, "throughput": detecting.throughput, "stages": detecting.stages}
    options = {name: given[name] for name in ("runtime", "precision", "device", "threads") if name in given}
    model, score_threshold = given.get("model", "default"), given.get("score_threshold", 0.4)
    detector = Detector.load(model, **options)
    settings: dict[str, Any] = {
        "model": model,
        "backbone": detector.metadata.backbone,
        "classes": len(detector.classes),
        "runtime": detector.runtime.name,
        "precision": detector.runtime.precision,
        "threads": detector.runtime.threads,
        "score threshold": score_threshold,
    }
    with _pictures(given) as (paths, words):
        return settings | {"pictures": words}, measures[what](detector, paths, budget, score_threshold)


def _cold_start(given: dict[str, Any], budget: "Budget") -> tuple[dict[str, Any], "Measured"]:
    from ssd300.benchmark.cold_start import cold_start, commands
    from ssd300.weights.catalog import resolve

    # What is wrong with it is said here, and a download is not measured.
    resolve(given.get("model", "default"), detector=True)
    named = {name: str(given[name]) for name in ("model", "precision", "threads") if name in given}
    options = [word for name, value in named.items() for word in (f"--{name}", value)]
    with _pictures(given) as (paths, words):
        settings: dict[str, Any] = {"model": "default"} | named | {"pictures": f"the first of {words}"}
        return settings, cold_start(commands(paths[0], options), budget)


def _train_step(given: dict[str, Any], budget: "Budget") -> tuple[dict[str, Any], "Measured"]:
    from ssd300.learn.recipe import resolve_recipe

    _require_torch("train-step")
    from ssd300.benchmark.training import train_step

    recipe, backbone = given.get("recipe", "published"), given.get("backbone", "resnet18")
    chosen = resolve_recipe(recipe, batch_size=given.get("batch_size"))
    options = {name: given[name] for name in ("device", "precision", "threads") if name in given}
    settings = {"backbone": backbone, "recipe": recipe, "batch size": chosen.batch_size, "pictures": "noise, in memory"}
    return settings, train_step(backbone, chosen, budget, **options)


def _loader(given: dict[str, Any], budget: "Budget") -> tuple[dict[str, Any], "Measured"]:
    from ssd300.learn.recipe import resolve_recipe

    _require_torch("loader")
    from ssd300.benchmark.training import loader

    recipe, workers = given.get("recipe", "published"), given.get("workers", 1)
    chosen = resolve_recipe(recipe, batch_size=given.get("batch_size"))
    with _pictures(given) as (paths, words):
        settings = {"recipe": recipe, "batch size": chosen.batch_size, "pictures": words}
        return settings, loader(paths, chosen, budget, workers=workers)


def _require_torch(what: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"`ssd300 benchmark --what {what}`", "train") from error


@contextmanager
def _pictures(given: dict[str, Any]) -> Iterator[tuple[list[Path], str]]:
    """The picture files, and what they are in words; generated ones last as long as the context."""
    from tempfile import TemporaryDirectory

    from ssd300.benchmark.pictures import SYNTHETIC, found_pictures, synthetic_jpegs

    if images := given.get("images"):
        paths = found_pictures(images)
        yield paths, f"{len(paths)} of {images}"
        return
    with TemporaryDirectory() as folder:
        paths = synthetic_jpegs(Path(folder))
        yield paths, f"{len(paths)} {SYNTHETIC}"
