"""`ssd300 benchmark` through the real command line."""

import json
import sys
from pathlib import Path

import pytest

from ssd300.cli import benchmark, main

KEYS = ["what", "settings", "rows", "share_of", "peak_memory_mib", "versions", "cpu", "threads"]
ROOT = Path(__file__).parents[2]
NARROW = pytest.mark.usefixtures("narrow")


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ssd300", "benchmark", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.run()
        shown = capsys.readouterr()
        return stop.value.code, shown.out, shown.err

    return run


@pytest.fixture
def measured(run):
    def measured(*arguments):
        code, out, err = run(*arguments, "--json")
        assert code == 0, err
        numbers = json.loads(out)
        assert list(numbers) == KEYS
        assert "ssd300" in numbers["versions"]
        assert "openvino" in numbers["versions"]
        return numbers

    return measured


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--what", "latancy"], "unknown --what 'latancy': did you mean 'latency'?"),
        (["--what", ""], "Known: latency, throughput, stages"),
        (["--images", "EMPTY"], "no pictures here: an empty directory"),
        (["--images", "EMPTY/nothing.jpg"], "no such file"),
        (["--model", "nosuch"], "nosuch: neither a file nor a known model"),
        (["--what", "cold-start"], "--what cold-start is a script now: python benchmarks/cold_start.py"),
        (["--what", "train-step"], "python benchmarks/train_step.py, in a clone of ssd300"),
        (["--what=loader"], "python benchmarks/train_step.py"),
        (["--backbone", "resnet18"], "--backbone is a script now: python benchmarks/train_step.py --backbone"),
        (["--recipe=quick"], "python benchmarks/train_step.py --recipe"),
        (["--what", "latency", "--batch_size", "8"], "python benchmarks/train_step.py --batch-size"),
        (["--workers", "2"], "python benchmarks/train_step.py --workers"),
        (["--runtime", "openvno"], "did you mean 'openvino'?"),
        (["--repeats", "0"], "not in the range x>=1"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments, words, run, tmp_path) -> None:
    code, out, err = run(*(text.replace("EMPTY", str(tmp_path)) for text in arguments))
    assert (code, out) == (2, "")
    assert words in err
    assert "internal error" not in err


@NARROW
def test_the_table_has_what_json_has(run, narrow_checkpoint) -> None:
    code, out, err = run("--model", narrow_checkpoint, "--repeats", 2, "--warmup", 0, "--conf", 0.004)
    assert code == 0, err
    for words in (
        "score threshold              0.004\n",
        "median ms",
        "p95 ms",
        "pictures/s",
        "file to Detections",
        "16 synthetic 640x480 JPEGs, seed 0",
    ):
        assert words in out
    for words in ("peak memory of this process", "versions", "openvino", "python", "cpu", "OpenVINO runs"):
        assert words in out
    assert "core-ms" not in out  # nothing stands in that column
    assert err.startswith("Measuring latency for 2 calls")


@NARROW
def test_latency_of_given_pictures(measured, narrow_checkpoint) -> None:
    images = ROOT / "examples" / "images"
    options = ["--precision", "f32", "--threads", 1, "--conf", 0.3, "--images", images, "--repeats", 2, "--warmup", 0]
    numbers = measured("--what", "latency", "--model", narrow_checkpoint, *options)
    settings = numbers["settings"]
    assert [settings[name] for name in ("runtime", "precision", "threads", "classes")] == ["openvino", "f32", 1, 4]
    assert settings["pictures"].endswith(f"of {images}")
    assert settings["score threshold"] == 0.3
    (row,) = numbers["rows"]
    assert row["calls"] == 2
    assert 0 < row["median_ms"] <= row["p95_ms"]
    assert numbers["peak_memory_mib"] is None or numbers["peak_memory_mib"] > 50


@NARROW
@pytest.mark.parametrize(
    ("what", "share_of", "shares"),
    [("throughput", "the network alone", 2), ("stages", "the whole", 7)],
)
def test_shares(what, share_of, shares, measured, narrow_checkpoint) -> None:
    numbers = measured("--what", what, "--model", narrow_checkpoint, "--repeats", 2, "--warmup", 0, "--threads", 1)
    assert numbers["share_of"] == share_of
    assert len([row for row in numbers["rows"] if row["share"] > 0]) == shares


def test_an_interrupt_shows_nothing(run, monkeypatch) -> None:
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ssd300.benchmark.detecting.measure_latency", interrupted)
    code, out, err = run()
    assert (code, out) == (130, "")
    assert "Interrupted" in err


def test_the_page_names_everything_that_can_be_measured() -> None:
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    for what in benchmark._WARMUP:
        assert f"| `{what}` |" in page
