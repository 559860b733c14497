"""Ctrl-C, SIGTERM and a terminal that closes: the exit code tells which, and nothing half-written stays."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssd300.cli.main as cli
from command import ssd300
from ssd300.__main__ import main
from ssd300.learn.run import stop_signals

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

import fcntl
import pty
import termios


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a new process: the default for every signal; afterwards those of pytest."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    monkeypatch.setattr(os, "_exit", sys.exit)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException | None) -> object:
    """The exit code of a verb that gets the signal, and makes `error` of the KeyboardInterrupt."""

    def app() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if error is None:
                raise
            raise error  # noqa: B904

    monkeypatch.setattr(cli, "make_app", lambda verbs: app)
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


ERRORS = (None, ImportError("numpy: half initialized"), SystemExit(130))


@pytest.mark.parametrize("error", ERRORS, ids=["raised on", "of an import", "of a verb"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_exit_code_tells_the_signal(monkeypatch, capsys, error, number, code) -> None:
    assert ended(monkeypatch, number, error) == code
    words = "" if isinstance(error, SystemExit) else "Interrupted.\n"  # a verb has said more
    assert capsys.readouterr() == ("", words)


def test_ctrl_break_of_windows(monkeypatch, capsys) -> None:
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    assert ended(monkeypatch, signal.SIGUSR1, None) == 128 + signal.SIGUSR1
    assert capsys.readouterr() == ("", "Interrupted.\n")
    with stop_signals() as received:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert received == [signal.SIGUSR1]
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(("before", "notes"), [(signal.SIG_DFL, [signal.SIGHUP]), (signal.SIG_IGN, [])])
def test_a_terminal_that_closes_lets_the_step_of_a_training_end(before, notes) -> None:
    signal.signal(signal.SIGHUP, before)  # ignored as by nohup
    with stop_signals() as received:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)  # once from the shell that ends, once from the system
    assert received == notes
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_second_signal_ends_a_training_at_once() -> None:
    with stop_signals(), pytest.raises(KeyboardInterrupt):
        [os.kill(os.getpid(), number) for number in (signal.SIGHUP, signal.SIGTERM)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_exit_code_of_a_training_whose_step_ended_tells_the_signal(monkeypatch, number, code) -> None:
    def app() -> None:
        with stop_signals() as received:
            os.kill(os.getpid(), number)
        assert received == [number]
        sys.exit(130)  # as the verb does

    monkeypatch.setattr(cli, "make_app", lambda verbs: app)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code


def test_a_code_of_another_reason_stays(monkeypatch) -> None:
    assert ended(monkeypatch, signal.SIGTERM, SystemExit(1)) == 1


def test_nohup_is_respected(monkeypatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(cli, "make_app", lambda verbs: lambda: os.kill(os.getpid(), signal.SIGHUP))
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


IN_A_TERMINAL = """
import os, signal, sys, time
import ssd300.cli.main as cli
from ssd300.__main__ import main

def app():
    try:
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGHUP)  # the second one, which a shell causes
        print("Interrupted: 3 of 7 pictures done.", file=sys.stderr, flush=True)
        print("complete")
        sys.exit(130)

cli.make_app = lambda verbs: app
main()
"""


def test_a_verb_whose_terminal_closes_completes_its_results() -> None:
    """Writing to a terminal that has closed is an error, which would end the verb before."""
    ours, terminal = pty.openpty()
    command, control = [sys.executable, "-c", IN_A_TERMINAL], functools.partial(fcntl.ioctl, 2, termios.TIOCSCTTY, 0)
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": terminal}
    with subprocess.Popen(command, text=True, start_new_session=True, preexec_fn=control, **streams) as process:
        os.close(terminal)
        assert os.read(ours, 100).startswith(b"begun")
        os.close(ours)
        assert process.communicate(timeout=60)[0] == "complete\n"
    assert process.returncode == 129


TERMINATED_WRITER = """
import os, signal, sys
from pathlib import Path
from ssd300.__main__ import main
from ssd300.data.pack.write import _Piece

add = _Piece.add
def add_and_end(piece, *given):
    add(piece, *given)
    assert [p for p in Path().iterdir() if p.name.startswith(".pets.pack")], "nothing to clean up"
    os.kill(os.getpid(), signal.SIGTERM)
_Piece.add = add_and_end
sys.argv = ["ssd300", "data", "pack", "pets", "pets.pack"]
main()
"""


def test_a_terminated_writer_leaves_nothing_behind(tmp_path: Path, narrow_found_again: Path) -> None:
    """As a process: SIGTERM in the middle of writing a packed set."""
    (tmp_path / "pets").symlink_to(narrow_found_again)
    (tmp_path / "pets.pack").write_bytes(b"of before")
    command = [sys.executable, "-c", TERMINATED_WRITER.replace('"pets",', '"pets/train.json",')]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 143, result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets", "pets.pack"]
    assert (tmp_path / "pets.pack").read_bytes() == b"of before"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "Interrupted: at once, nothing was saved since the last checkpoint.\n"),
        (KeyboardInterrupt("stopped at step 7"), "Interrupted: stopped at step 7.\n"),
    ],
)
def test_an_interrupted_training_says_what_is_saved(monkeypatch, error, words) -> None:
    def train(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ssd300.learn.train.train", train)
    result = ssd300("train", "--data", "pictures")
    assert (result.returncode, result.stdout, result.stderr) == (130, "", words)
