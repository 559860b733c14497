"""The progress line on a terminal."""

import io
import sys

import pytest

from ssd300.cli import messages


@pytest.fixture(autouse=True)
def own_terminal(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_erases_the_line(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def fail() -> None:
        with messages.ProgressLine(10) as line:
            line.show(1)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert terminal.getvalue().startswith(f"{messages.ERASE}1/10 pictures")
    assert terminal.getvalue().endswith(messages.ERASE)


def test_the_rate_is_that_of_the_split_at_work(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    times = iter((0.0, 100.0, 200.0, 201.0))
    monkeypatch.setattr(messages.time, "perf_counter", lambda: next(times))
    with messages.ProgressLine() as line:
        for done, total in ((20, 20), (1, 30), (11, 30)):
            line.show(done, total)
    assert terminal.getvalue().split(messages.ERASE)[1:-1] == [
        "20/20 pictures, 0.2 pictures/s, 0:00 left",
        "1/30 pictures",
        "11/30 pictures, 10.0 pictures/s, 0:02 left",
    ]
