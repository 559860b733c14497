"""Clients that send slowly, too much, nothing, or go away."""

import gc
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from serving import form, picture_file, serving, until
from ssd300 import limits
from ssd300.serve import connections
from ssd300.serve import request as fetching
from ssd300.serve.models import Work
from ssd300.serve.settings import Settings


def read_all(line: socket.socket) -> bytes:
    line.settimeout(30)
    pieces = []
    try:
        while piece := line.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def ask_health(line: socket.socket) -> bytes:
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += line.recv(65536)
    return answer.partition(b"\r\n\r\n")[2]


@pytest.fixture
def impatient(models, monkeypatch):
    """A server with deadlines of half a second."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "READING_SECONDS", 0.5)
    with serving(models, Settings(max_body=2**20, timeout=0.5)) as one:
        yield one


@pytest.fixture
def gate(monkeypatch):
    """No picture is worked on before it is set."""
    opened, work = threading.Event(), Work.__call__

    def when_opened(self, source, job):
        opened.wait(60)
        return work(self, source, job)

    monkeypatch.setattr(Work, "__call__", when_opened)
    yield opened
    opened.set()


def test_a_connection_that_says_nothing_is_closed(impatient) -> None:
    with impatient.line() as line:
        started = time.monotonic()
        assert read_all(line) == b""
        assert time.monotonic() - started < 5


def test_a_half_sent_head_is_closed_also_after_an_answer(impatient) -> None:
    with impatient.line() as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in line.recv(65536)
        line.sendall(b"GET /hea")
        started = time.monotonic()
        assert b"HTTP/1.1" not in read_all(line)
        assert time.monotonic() - started < 5


def test_a_slow_body_gets_408(impatient) -> None:
    with impatient.line() as line:
        line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"3 bytes after 0.5 seconds" in answer


def test_half_sent_requests_hold_no_place(models, png) -> None:
    with serving(models, Settings(queue=1, timeout=5)) as client:
        lines = [client.line() for _ in range(50)]
        for line in lines:
            line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        started = time.monotonic()
        assert client.detect(png).status == 200
        assert time.monotonic() - started < 4
        for line in lines:
            line.close()


def test_a_flood_of_tiny_chunks_is_cut_off(client) -> None:
    with client.line() as line:
        line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(100):
                line.sendall(b"1\r\nx\r\n" * 100)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = read_all(line)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


CHUNKED = b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"\0"], b"400"),
        ([b"GET /healthz HTTP/1.1\r\n" + CHUNKED + b"no size\r\n"], b"400"),
        ([b"POST /v1/detect HTTP/1.1\r\n" + CHUNKED + b"3\r\nabc\r\n", b"no size\r\n"], b"400"),
        ([b"POST /v1/detect HTTP/1.1\r\nAccept: audio/ogg\r\n" + CHUNKED, b"no size\r\n"], b"406"),
    ],
)
def test_what_is_not_http_gets_one_answer_at_any_moment_and_no_traceback(client, caplog, pieces, status) -> None:
    with client.line() as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(0.1)
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert client.ask("GET", "/healthz").status == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_body_in_chunks_is_a_body(client, png) -> None:
    chunks = [png[start : start + 1000] for start in range(0, len(png), 1000)]
    assert client.ask("POST", "/v1/detect", iter(chunks), {"Transfer-Encoding": "chunked"}).status == 200


def test_a_chunked_body_is_limited_too(client) -> None:
    answer = client.ask("POST", "/v1/detect", iter([b"x" * 2**16] * 17), {"Transfer-Encoding": "chunked"})
    assert answer.status == 413


@pytest.mark.parametrize("taken", [0, 1000])  # bytes in 5 ms
def test_a_reader_that_stops_or_is_slow_is_cut_off(impatient, taken) -> None:
    data, held = picture_file("PNG", (600, 600)), impatient.app.state.detecting.held
    head = f"POST /v1/detect HTTP/1.1\r\nHost: a\r\nAccept: image/png\r\nContent-Length: {len(data)}\r\n\r\n"
    with impatient.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall((head.encode() + data) * 6)  # answers of megabytes, and nobody reads them

        def is_cut_off() -> bool:
            with suppress(ConnectionResetError):
                line.recv(taken)  # nothing at its end, which may come before the server has removed the connection
            return not impatient.server.server_state.connections and not held.size

        until(is_cut_off)


@pytest.mark.parametrize("more", [b"Connection: close\r\n\r\n", b"\r\nPOST / HTTP/1.1\r\nA: b\r\n\r\nno HTTP\r\n\r\n"])
def test_a_connection_that_closes_does_not_wait_for_its_reader(impatient, more) -> None:
    impatient.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # the rest waits in the server
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.connect(("127.0.0.1", impatient.port))
        line.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n" + more)
        until(lambda: impatient.server.server_state.connections)
        until(lambda: not impatient.server.server_state.connections)


def test_a_client_that_goes_is_logged_once_and_its_place_is_free(client, png, log_lines, gate, caplog) -> None:
    body, kind = form(*((f"{number}.png", png) for number in range(4)))
    head = f"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    admission, held = client.app.state.detecting.admission, client.app.state.detecting.held
    for number in range(3):
        with client.line() as line:
            line.sendall(head.encode() + body)
            until(lambda: held.size >= len(body))
        until(lambda number=number: len(log_lines) > number)
    gate.set()
    until(lambda: not admission.running and not admission.waiting)
    assert [line["status"] for line in log_lines] == [499] * 3
    assert held.size == 0
    gc.collect()  # asyncio prints what nobody has read when it is removed
    assert {record.name for record in caplog.records} <= {"ssd300.serve"}


def test_a_full_queue_is_429_with_retry_after(models, png, gate) -> None:
    body, kind = form(*((f"{number}.png", png) for number in range(6)))
    with serving(models, Settings(queue=2, timeout=60)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.detect, body, Content_Type=kind)
        until(lambda: client.app.state.detecting.admission.waiting == 2)
        refused = client.detect(body, Content_Type=kind)
        gate.set()
        assert (refused.status, first.result().status) == (429, 200)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "2 pictures are waiting already, 6 more do not fit" in refused.detail


def test_an_answer_that_takes_too_long_is_503(models, png, gate) -> None:
    with serving(models, Settings(timeout=1)) as client:
        answer = client.detect(png)
        assert (answer.status, "no answer after 1 seconds" in answer.detail) == (503, True)
        gate.set()
        assert client.ask("GET", "/healthz").status == 200


def test_more_addresses_than_are_fetched_at_one_time_are_503(models) -> None:
    with serving(models, Settings(allow_urls=True)) as client:
        taken = [fetching._slots.acquire(timeout=10) for _ in range(limits.FETCHED_AT_ONCE)]
        answer = client.detect(b'{"url": "http://a.example/1"}', Content_Type="application/json")
        for _ in taken:
            fetching._slots.release()
    assert all(taken)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "8 addresses are being downloaded already" in answer.detail


def no_thread(*_, **__):
    raise RuntimeError("can't start new thread")


def test_a_picture_for_which_the_system_has_no_thread_keeps_no_place(models, png, monkeypatch) -> None:
    with serving(models, Settings()) as client:
        admission = client.app.state.detecting.admission
        with monkeypatch.context() as patched:
            patched.setattr(admission._pool, "submit", no_thread)
            assert client.detect(png).status == 500
        assert (admission.running, client.detect(png).status) == (0, 200)


@pytest.mark.parametrize("place", [(fetching.threading, "Thread"), (fetching, "fetch")])
def test_addresses_for_which_the_system_has_no_thread_keep_no_place(models, monkeypatch, place) -> None:
    with serving(models, Settings(allow_urls=True)) as client:
        with monkeypatch.context() as patched:
            patched.setattr(*place, no_thread)
            for _ in range(limits.FETCHED_AT_ONCE + 1):
                assert client.detect(b'{"url": "http://a.example/1"}', Content_Type="application/json").status == 500
        assert fetching._slots._value == limits.FETCHED_AT_ONCE


def test_a_body_of_addresses_holds_nothing_else(models) -> None:
    url = "http://a.example/1"
    with serving(models, Settings(allow_urls=True)) as client:
        for body in ({}, [], {"urls": []}, {"urls": url}, {"url": url, "labels": "cat"}, {"url": url, "urls": [url]}):
            answer = client.detect(json.dumps(body), Content_Type="application/json")
            assert (answer.status, "and nothing else; options belong in" in answer.detail) == (422, True)


@pytest.mark.parametrize(
    ("urls", "status", "words"),
    [
        (["http://a.example/1"], 200, ""),
        (["http://a.example/1"] * 3, 413, "with the pictures of its addresses, is larger than 40,000 bytes"),
        (["http://slow.example/1"], 422, "the addresses did not answer within 1 seconds"),
    ],
)
def test_pictures_of_addresses_count_as_the_body_and_have_its_time(
    models, png, monkeypatch, urls, status, words
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(fetching, "fetch", lambda url, **_: ("slow" in url and answered.wait(60)) or png)
    with serving(models, Settings(max_body=40_000, timeout=1 if status == 422 else 60, allow_urls=True)) as client:
        answer = client.detect(json.dumps({"urls": urls}), Content_Type="application/json")
        answered.set()
        assert (answer.status, words in answer.data.decode()) == (status, True)
    assert client.app.state.detecting.held.size == 0


def test_beyond_the_limit_of_connections_the_longest_idle_one_is_closed(models, monkeypatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 2)
    with serving(models, Settings()) as client, client.line() as first, client.line() as second:
        for line in (second, first):  # now the second is idle longer
            assert ask_health(line) == b'{"status":"ok"}'
        with client.line() as third:
            assert read_all(second) == b""
            for line in (first, third):
                assert ask_health(line) == b'{"status":"ok"}'


def test_connections_that_come_at_one_moment_are_limited_too(models, monkeypatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 4)
    with serving(models, Settings()) as client, ExitStack() as lines:
        for _ in range(4):
            lines.enter_context(client.line())
        until(lambda: len(client.server.server_state.connections) == 4)
        loop = next(iter(client.server.server_state.connections)).loop
        loop.call_soon_threadsafe(time.sleep, 0.3)  # the next ones are accepted together
        latest = [lines.enter_context(client.line()) for _ in range(3)]
        for line in latest:
            assert ask_health(line) == b'{"status":"ok"}'
        until(lambda: len(client.server.server_state.connections) == 4)


@pytest.mark.posix
@pytest.mark.parametrize(("files", "most", "at_once"), [(8, 4, 1), (64, 32, 4), (256, 128, 16), (1024, 896, 16)])
def test_few_open_files_leave_some_beside_the_connections(monkeypatch, files, most, at_once) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert (connections.most_connections(), connections.accepted_at_once()) == (most, at_once)


def test_bodies_of_all_requests_together_are_limited(models) -> None:
    with serving(models, Settings(max_body=10_000, timeout=60)) as client:
        held = client.app.state.detecting.held
        held.limit = 15_000
        with client.line() as line:
            line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + b"x" * 9000)
            until(lambda: held.size == 9000)
            answer = client.detect(b"x" * 9000)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


def test_heads_beyond_any_need_are_refused(client) -> None:
    with client.line() as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000)
        assert read_all(line).startswith(b"HTTP/1.1 400 ")
