"""The script that measures whole commands, `benchmarks/cold_start.py`."""

import importlib.util
import sys
from pathlib import Path

import pytest

from ssd300.benchmark.measure import Budget
from ssd300.errors import SSD300Error

spec = importlib.util.spec_from_file_location("cold_start", Path(__file__).parents[2] / "benchmarks" / "cold_start.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
DETECT, YARDSTICK, cold_start, run_once = script.DETECT, script.YARDSTICK, script.cold_start, script.run_once


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_no_commands() -> None:
    measured = cold_start({}, Budget(0, 2))
    assert (measured.rows, measured.share_of) == ((), None)


def test_every_command_runs_warm_and_in_turns(tmp_path) -> None:
    log = tmp_path / "log"
    written = {name: python(f"open({str(log)!r}, 'a').write({name[0]!r})") for name in ("a", "b")}
    measured = cold_start(written, Budget(0, 2, warmup=1))
    assert log.read_text() == "ababab"
    assert [(row.name, len(row.timing.seconds), row.share) for row in measured.rows] == [("a", 2, None), ("b", 2, None)]


def test_shares_are_those_of_importing_torch(monkeypatch) -> None:
    monkeypatch.setattr(script, "run_once", lambda command: ({"torch": 0.8, "detect": 0.2}[command[0]], None))
    measured = cold_start({YARDSTICK: ["torch"], DETECT: ["detect"]}, Budget(0, 1))
    assert measured.share_of == YARDSTICK
    assert [row.share for row in measured.rows] == pytest.approx([1, 0.25])
    assert [row.timing.rate for row in measured.rows] == [None, pytest.approx(5)]


def test_the_peak_of_a_command_is_its_own() -> None:
    _, peak = run_once(python("b = bytearray(2**29); b[::4096] = b[::4096]"))
    assert peak is None or peak > 500


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(SSD300Error, match=r"exit code 3: no picture$"):
        run_once(
            python("import sys; print('first', file=sys.stderr); print('no picture', file=sys.stderr); sys.exit(3)")
        )


def test_commands_name_the_picture_and_options(tmp_path) -> None:
    named = script.commands(tmp_path / "a.jpg", ["--threads", "1"])
    assert named[DETECT][-4:] == [str(tmp_path / "a.jpg"), "--no-save", "--threads", "1"]
    assert next(iter(named)) == "python -c pass"
