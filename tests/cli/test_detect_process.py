"""`ssd300 detect` as a process of its own: pipes, terminals, signals, a full disk, much work."""

import csv
import functools
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssd300.detector import Detector


@pytest.fixture
def command(here, seeded_checkpoint) -> list[str]:
    return [sys.executable, "-m", "ssd300", "detect", "--model", str(seeded_checkpoint), "--threads", "2"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_json_on_a_terminal_that_is_not_utf_8(command) -> None:
    import pty

    screen, terminal = pty.openpty()
    command += ["c d/ü ñ.jpg", "--no-save", "--format", "json"]
    with subprocess.Popen(command, stdout=terminal, env=os.environ | {"PYTHONIOENCODING": "latin-1"}) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(screen, 65536):
                shown += piece
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait(60) == 0
    os.close(screen)
    assert json.loads(shown.decode("ascii"))[0]["source"] == "c d/ü ñ.jpg"


def test_stdin(command, seeded_checkpoint) -> None:
    data = Path("a/x.png").read_bytes()
    result = subprocess.run([*command, "-", "--format", "json"], input=data, capture_output=True)
    assert result.returncode == 0, result.stderr
    (picture,) = json.loads(result.stdout)
    assert picture["source"] == "<stdin>"
    found = Detector.load(seeded_checkpoint, threads=2).detect("a/x.png", clip=True)
    assert picture["detections"] == json.loads(found.to_json())["detections"]
    assert os.listdir("runs/detect/1") == ["stdin.jpg"]


def test_names_that_a_terminal_cannot_show(command) -> None:
    name = b"\xff \x1b[31m.png"
    with open(name, "wb") as file:
        file.write(Path("a/x.png").read_bytes())
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    for form in ("table", "json"):
        result = subprocess.run([*command, os.fsdecode(name), "--format", form], capture_output=True, env=ascii_only)
        assert result.returncode == 0, result.stderr
        assert b"\x1b" not in result.stdout


def test_a_reader_that_stops_early(command) -> None:
    command += [*["a/x.png"] * 30, "--no-save", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        json.loads(process.stdout.readline())
        process.stdout.close()
        words = process.stderr.read()
        assert process.wait(60) in (0, 1)
    assert "Traceback" not in words
    assert "bug" not in words
    assert "BrokenPipe" not in words


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["json", "csv"])
def test_ctrl_c_leaves_valid_output_of_what_was_done(command, name) -> None:
    command += [*["a/x.png"] * 3000, "--no-save", "--format", name]
    # A suite that a shell started in the background ignores SIGINT, and so would its children.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": listen}
    with open("out", "w") as out, subprocess.Popen(command, stdout=out, **pipes) as process:
        deadline = time.monotonic() + 60
        while Path("out").stat().st_size < 2000 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        words = process.stderr.read()
        assert process.wait(30) == 130, words
    text = Path("out").read_text()
    assert "Interrupted: " in words
    assert " of 3000 pictures done." in words
    assert "Traceback" not in words
    if name == "json":
        assert json.loads(text)
    else:
        assert {len(row) for row in csv.reader(io.StringIO(text))} == {10}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_does_not_wait_for_a_server_that_does_not_answer(command) -> None:
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with socket.create_server(("127.0.0.1", 0)) as server:
        command += [f"http://127.0.0.1:{server.getsockname()[1]}/{name}.jpg" for name in "ab"]
        allowed = os.environ | {"SSD300_ALLOW_PRIVATE_URLS": "1"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen, env=allowed) as process:
            line, _ = server.accept()
            with line:
                started = time.monotonic()
                process.send_signal(signal.SIGINT)
                words = process.stderr.read()
                assert process.wait(30) == 130, words
                assert time.monotonic() - started < 6  # an answer is waited for 10 seconds
    assert "Interrupted: 0 of 2 pictures done." in words


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_2000_pictures_one_in_a_hundred_damaged(command) -> None:
    """Order kept, each damaged file told, memory flat: the last quarter within 5 % of the second."""
    Path("many").mkdir()
    good, damaged = Path("a/x.png").read_bytes(), Path("a/x.png").read_bytes()[:100]
    names = [f"many/{i:04}.png" for i in range(2000)]
    for i, name in enumerate(names):
        Path(name).write_bytes(damaged if i % 100 == 50 else good)
    found, resident = [], []
    command += ["many", "--no-save", "--format", "jsonl"]
    with (
        open("words", "w+") as words,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        for line in process.stdout:
            found.append(json.loads(line)["source"])
            resident.append(resident_kib(process.pid))
        assert process.wait(60) == 1
        words.seek(0)
        told = words.read().splitlines()
    failed = names[50::100]
    assert found == [name for name in names if name not in failed]
    assert told[-21] == "20 of 2000 inputs failed:"
    assert [line.split(":")[0].strip() for line in told[-20:]] == failed
    second, last = resident[len(found) // 4 : len(found) // 2], resident[-(len(found) // 4) :]
    assert max(last) <= 1.05 * max(second)


def resident_kib(process: int) -> int:
    """The memory that a process holds now; 0 when it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_bug(command) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([*command, "a/x.png", "--no-save"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert "No space left on device" in result.stderr
    assert "bug" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("no_color", "kind", "bold", "counts"),
    [("", "xterm", True, True), ("1", "xterm", False, True), ("", "dumb", False, False)],
)
def test_on_a_terminal(command, no_color, kind, bold, counts) -> None:
    import pty

    screen, terminal = pty.openpty()
    command += [*["a/x.png"] * 12, "--no-save"]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, env=os.environ | {"NO_COLOR": no_color, "TERM": kind}
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(screen, 65536):
                shown += piece
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait(60) == 0
    os.close(screen)
    text = shown.decode()
    assert ("\033[1m" in text) is bold
    assert ("0/12 pictures" in text) is counts
    # Every table starts on a line of its own, after the progress line was erased.
    for line in text.replace("\r\n", "\n").split("\n"):
        if "120x90" in line:
            assert line.split("\033[K")[-1].removeprefix("\033[1m").startswith("a/x.png")
