"""`ssd300 serve` as a process: what it prints, how it stops, and what it refuses at its start."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from serving import picture_file
from ssd300.cli.serve import allowed_hosts, parse_models
from ssd300.errors import ArgumentError

COMMAND = [sys.executable, "-m", "ssd300", "serve", "--port", "0", "--threads", "2"]


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("Listening on http://127.0.0.1:"), process.stderr.read()
        yield process, int(line.rsplit(":", 1)[1])
    finally:
        process.kill()
        process.communicate()


def post(port: int, body: bytes, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/detect", body, {"Content-Type": "image/png", "X-Request-ID": "mine"} | headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.posix
def test_it_answers_and_on_sigterm_finishes_what_is_under_way(seeded_checkpoint) -> None:
    with started("--model", f"small={seeded_checkpoint}") as (process, port):
        assert post(port, picture_file("PNG")) == 200
        assert post(port, picture_file("PNG"), Host=f"evil.example:{port}") == 421
        body = picture_file("PNG")
        head = (
            f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n"
        )
        with socket.create_connection(("127.0.0.1", port), 20) as line:
            line.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert line.recv(1000).startswith(b"HTTP/1.1 100 ")  # it waits for the body
            stopped = time.monotonic()
            process.send_signal(signal.SIGTERM)
            with suppress(ConnectionRefusedError):
                while time.monotonic() - stopped < 3:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    time.sleep(0.01)
                pytest.fail("it still listens")
            line.sendall(body)
            assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
        _, told = process.communicate(timeout=20)
        assert time.monotonic() - stopped < 5
    assert process.returncode == 0
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["event"] for line in lines] == ["request", "request", "request", "stopped"]
    assert lines[0].keys() >= {"time", "level", "id", "client", "method", "path", "status", "ms", "bytes_in"}
    assert lines[0]["id"] == "mine"


@pytest.fixture
def without_nohup() -> Iterator[None]:
    """The tests may run under nohup: then the processes that they start ignore a closed terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.posix
@pytest.mark.usefixtures("without_nohup")
@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_ctrl_c_or_a_closed_terminal_stops_it_and_an_idle_connection_does_not_hold_it(seeded_checkpoint, name) -> None:
    with started("--model", f"small={seeded_checkpoint}") as (process, port):
        with socket.create_connection(("127.0.0.1", port)):
            started_at = time.monotonic()
            process.send_signal(getattr(signal, name))
            _, told = process.communicate(timeout=20)
        assert (process.returncode, time.monotonic() - started_at < 5) == (0, True)
        assert [json.loads(line)["event"] for line in told.splitlines()] == ["stopped"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "a b=x"], "expected NAME=FILE"),
        (["--model", "nothing.safetensors"], "nothing.safetensors"),
        (["--model", "int8=nothing.safetensors"], "nothing.safetensors: neither a file nor a known model"),
        (["--model", "model=nothing.safetensors"], "nothing.safetensors: neither a file nor a known model"),
        (["--max-body", "much"], "is not a size"),
        (["--api-key-file", "/nonexistent"], "the key file cannot be read"),
        (["--allow-urls", "--offline"], "--offline (or SSD300_OFFLINE) forbids it"),
        (["--host", "256.1.1.1"], "cannot listen on 256.1.1.1"),
        (["--web-runtime", ""], "expected the folder of npm's onnxruntime-web"),
    ],
)
def test_what_it_refuses_at_its_start(arguments, words, monkeypatch, capsys) -> None:
    from ssd300.cli import main

    monkeypatch.delenv("SSD300_OFFLINE", raising=False)  # and again afterwards: --offline sets it
    monkeypatch.setattr(sys, "argv", ["ssd300", "serve", "--port", "0", *arguments])
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken(seeded_checkpoint, monkeypatch, capsys) -> None:
    from ssd300.cli import main

    with socket.create_server(("127.0.0.1", 0)) as line:
        port = str(line.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["ssd300", "serve", "--port", port, "--model", str(seeded_checkpoint)])
        with pytest.raises(SystemExit) as stop:
            main.run()
    assert stop.value.code == 2
    assert "choose another --port" in capsys.readouterr().err


def test_without_the_extra_the_remedy_is_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['uvicorn'] = None\n"
        "sys.argv = ['ssd300', 'serve']\n"
        "from ssd300.cli.main import run\n"
        "run()\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 2
    assert 'pip install ".[serve]"' in result.stderr


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], {}),
        (["default"], {"default": "default"}),
        (["a=x/b.xml", "runs/best.safetensors"], {"a": "x/b.xml", "best": "runs/best.safetensors"}),
    ],
)
def test_names_of_models(given, names) -> None:
    assert parse_models(given) == names


def test_a_name_given_twice() -> None:
    with pytest.raises(ValueError, match="given twice"):
        parse_models(["a=1", "a=2"])


@pytest.mark.parametrize(
    ("given", "local", "hosts"),
    [
        ([], False, None),
        ([], True, ()),
        (["Cams.Example"], True, ("cams.example",)),
        (["a", "b.c."], False, ("a", "b.c")),
    ],
)
def test_hosts(given, local, hosts) -> None:
    assert allowed_hosts(given, local=local) == hosts


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "a/b", "*.a", "a b"])
def test_what_is_not_a_host(name) -> None:
    with pytest.raises(ArgumentError, match="--allow-host"):
        allowed_hosts([name], local=True)
