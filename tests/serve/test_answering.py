"""How answers are sent and counted, what a stopping server and a fault of ours answer, and where a server listens."""

import asyncio
import http.client
import json
import logging
import socket
import sys
import threading
import time
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest

from serving import Answer, picture_file, serving, until
from ssd300.limits import READING_BYTES
from ssd300.serve import run
from ssd300.serve.answers import HeldResponse
from ssd300.serve.body import Body, Held
from ssd300.serve.models import Work
from ssd300.serve.problem import Problem
from ssd300.serve.run import bind, is_loopback, start_logs
from ssd300.serve.settings import Settings


@pytest.mark.parametrize("size", [0, 1, READING_BYTES, 2 * READING_BYTES + 1])
@pytest.mark.parametrize("breaks", [False, True])
def test_an_answer_counts_until_it_is_sent_in_pieces(size, breaks) -> None:
    held, sent = Held(2**30), []
    body = Body(held)
    body.add(b"request", 100)
    response = HeldResponse(bytes(size), "text/csv", body)

    async def send(message) -> None:
        assert held.size == size
        sent.append(message)
        if breaks and len(sent) == 2:
            raise ConnectionResetError

    try:
        asyncio.run(response({"type": "http"}, None, send))
    except ConnectionResetError:
        assert breaks
    assert held.size == 0
    pieces = [message["body"] for message in sent[1:]]
    assert max(map(len, pieces)) <= READING_BYTES
    assert breaks or b"".join(pieces) == bytes(size)
    assert (b"content-length", str(size).encode()) in sent[0]["headers"]


def test_an_answer_that_does_not_fit_beside_others_is_503() -> None:
    held = Held(100)
    alone, other = Body(held), Body(held)
    assert HeldResponse(bytes(200), "text/csv", alone).body  # no limit for one alone
    with pytest.raises(Problem, match="of other requests fill the memory") as caught:
        HeldResponse(bytes(1), "text/csv", other)
    alone.release()
    assert (caught.value.status, held.size) == (503, 0)


def test_the_bytes_of_a_body_are_kept_once() -> None:
    body = Body(Held(100))
    body.add(b"abc", 100)
    assert (body.take(), body.take()) == (b"abc", b"")


@pytest.mark.parametrize("path", ["/v1/detect", "/v2/models/seeded/infer"])
def test_a_request_that_outlives_the_stop_is_503(models, monkeypatch, path) -> None:
    monkeypatch.setattr(run, "DRAIN_SECONDS", 0.3)
    monkeypatch.setattr(Work, "__call__", lambda self, source, job: time.sleep(1.5))
    pixels = b'{"inputs": [{"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}]}'
    answers = []
    with serving(models, Settings()) as client:
        body, kind = (pixels, "application/json") if path.startswith("/v2") else (picture_file("PNG"), "image/png")
        thread = threading.Thread(target=lambda: answers.append(client.ask("POST", path, body, {"Content-Type": kind})))
        thread.start()
        while not client.app.state.detecting.admission.running:
            time.sleep(0.01)
        client.app.state.draining = client.server.should_exit = True
        thread.join(10)
    assert [(one.status, "Retry-After" in one.headers) for one in answers] == [(503, True)]
    assert b"this server is stopping" in answers[0].data


def test_a_connection_that_is_kept_takes_one_more_request_when_the_stop_begins(models) -> None:
    with serving(models, Settings()) as client:
        kept, idle = (http.client.HTTPConnection("127.0.0.1", client.port, timeout=30) for _ in range(2))
        idle.connect()
        kept.request("GET", "/healthz")
        assert "Connection" not in Answer(kept.getresponse()).headers
        client.app.state.draining = client.server.should_exit = True
        until(lambda: not client.server.servers[0].is_serving())
        kept.request("GET", "/healthz")
        answer = Answer(kept.getresponse())
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        with closing(kept), closing(idle):
            began = time.monotonic()
            assert idle.sock.recv(1) == b""
            assert time.monotonic() - began < 3


def test_a_fault_of_ours_is_500_and_is_logged_once_with_the_id(models, png, monkeypatch, capsys) -> None:
    for name in ("", "ssd300", "ssd300.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        for kept, value in {"handlers": [], "filters": [], "level": logger.level, "propagate": True}.items():
            monkeypatch.setattr(logger, kept, value)
    start_logs()
    with serving(models, Settings()) as client:
        assert (
            client.detect(b"--a\rb", Content_Type="multipart/form-data; boundary=a").status == 422
        )  # its parser warns
        monkeypatch.setattr(client.app.state.detecting.models, "get", lambda name: 1 / 0)
        answer = client.detect(png)
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert "ZeroDivisionError" not in answer.data.decode()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["level"] == "error"]
    assert (line["event"], line["id"]) == ("internal error", answer.json["request_id"])
    assert "ZeroDivisionError: division by zero" in line["traceback"]


def test_on_windows_no_second_server_takes_the_port(monkeypatch) -> None:
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)  # one that exists here
    with bind("127.0.0.1", 0) as listener:
        options = [listener.getsockopt(socket.SOL_SOCKET, one) for one in (socket.SO_REUSEADDR, socket.SO_KEEPALIVE)]
    assert [bool(option) for option in options] == [False, True]


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
    ],
)
def test_addresses_that_only_this_machine_reaches(address, own) -> None:
    assert is_loopback(SimpleNamespace(getsockname=lambda: (address, 80))) == own


@pytest.mark.parametrize(("host", "own"), [("", False), ("localhost", True), ("LOCALHOST", True), ("127.1", True)])
def test_the_address_counts_that_a_host_s_name_stands_for(host, own) -> None:
    """A machine's own name is often 127.0.1.1."""
    with bind(host, 0) as listener:
        assert is_loopback(listener) == own


@pytest.mark.parametrize(
    ("arguments", "warns"),
    [([], False), (["--host", "127.1"], False), (["--host", "0.0.0.0"], True), (["keys"], False)],
)
def test_a_server_without_keys_that_others_reach_says_so(
    seeded_checkpoint, tmp_path, monkeypatch, capsys, arguments, warns
) -> None:
    from ssd300.cli import main

    (tmp_path / "keys").write_text("a-key-of-16-byte")
    if arguments == ["keys"]:
        arguments = ["--host", "0.0.0.0", "--api-key-file", str(tmp_path / "keys")]
    monkeypatch.setattr(run, "run_server", lambda *_: None)
    command = ["ssd300", "serve", "--port", "0", "--threads", "1", "--precision", "f32"]
    monkeypatch.setattr(sys, "argv", [*command, "--model", f"small={seeded_checkpoint}", *arguments])
    with suppress(SystemExit):
        main.run()
    said = capsys.readouterr().err
    assert ("everyone who can reach 0.0.0.0 may use this server" in said, "everyone" in said) == (warns, warns)
