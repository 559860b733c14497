"""Minutes of use and abuse of a server in a process of its own, on this machine only, bounded in number and time."""

import http.client
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serve.fuzzed import fuzzed
from serving import picture_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Process:
    """A server process and its port."""

    def __init__(self, model: Path, *arguments: str, before: tuple[str, ...] = ()) -> None:
        command = [sys.executable, "-m", "ssd300", "serve", "--port", "0", "--threads", "2", "--precision", "f32"]
        self.log = open(os.devnull, "wb")  # noqa: SIM115, closed with the process
        self.run = subprocess.Popen(
            [*before, *command, "--model", f"small={model}", *arguments],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.port = int(self.run.stdout.readline().rsplit(":", 1)[1])

    def memory(self) -> float:
        """Resident MiB."""
        return int(Path(f"/proc/{self.run.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def line(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def close(self) -> None:
        self.run.terminate()
        assert self.run.wait(20) == 0
        self.run.stdout.close()
        self.log.close()


@pytest.fixture
def process(seeded_checkpoint) -> Iterator[Process]:
    one = Process(seeded_checkpoint, "--timeout", "8")
    yield one
    one.close()


class Asker(threading.Thread):
    """A client that keeps its connection and sends the same requests in turns."""

    def __init__(self, port: int, bodies: list[bytes], number: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self.port, self.bodies, self.number, self.headers = port, bodies, number, headers or {}
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for turn in range(self.number):
            started = time.monotonic()
            connection.request("POST", "/v1/detect", self.bodies[turn % len(self.bodies)], self.headers)
            response = connection.getresponse()
            response.read()
            self.statuses[response.status] += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
        connection.close()


def ask_all(askers: list[Asker]) -> Counter[int]:
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    return sum((one.statuses for one in askers), Counter())


def test_ten_thousand_requests_leave_memory_where_it_was(process, png) -> None:
    bodies = [png, picture_file("JPEG", (640, 480)), b"rubbish", png[:500]]
    headers = {"Content-Type": "application/octet-stream"}
    assert ask_all([Asker(process.port, bodies, 500, headers) for _ in range(4)])[500] == 0
    before = process.memory()
    statuses = ask_all([Asker(process.port, bodies, 2500, headers) for _ in range(4)])
    assert statuses == {200: 5000, 422: 5000}
    assert process.memory() - before < 10


def test_slow_senders_and_idle_connections_do_not_hold_up_others(process, png) -> None:
    with ExitStack() as held:
        slow = [held.enter_context(process.line()) for _ in range(50)]
        idle = [held.enter_context(process.line()) for _ in range(1000)]
        for line in slow:
            line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        honest = Asker(process.port, [png], 100)
        started = time.monotonic()
        honest.start()
        while time.monotonic() - started < 9.5:
            for line in slow:
                try:
                    line.sendall(b"x")
                except OSError:
                    continue
            time.sleep(0.2)
        honest.join()
        assert (honest.statuses, honest.slowest < 5) == ({200: 100}, True)
        for line in idle:
            line.settimeout(1)
            assert line.recv(1) == b""
        for line in slow:
            line.settimeout(1)
            assert b" 408 " in line.recv(65536)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits a process with prlimit")
@pytest.mark.parametrize(("files", "idle"), [(64, 70), (512, 700)])
def test_more_idle_connections_than_open_files_hold_up_no_others(seeded_checkpoint, files, idle) -> None:
    process = Process(seeded_checkpoint, before=("prlimit", f"--nofile={files}:{files}"))
    with ExitStack() as lines:
        for _ in range(idle):
            lines.enter_context(process.line())
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        assert time.monotonic() - started < 3
    process.close()


def test_two_hundred_clients_at_once(process, png) -> None:
    askers = [Asker(process.port, [png], 3) for _ in range(200)]
    statuses = ask_all(askers)
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] > 60
    assert max(one.slowest for one in askers) < 20


def test_bombs_and_floods(process, png) -> None:
    before = process.memory()
    bombs = [png_of(60_000, 60_000), png_of(7000, 7000), b"BM" + bytes(60), b"GIF89a" + b"\xff" * 1000]
    statuses = ask_all([Asker(process.port, bombs, 8) for _ in range(8)])
    assert set(statuses) <= {200, 413, 422, 429, 503}
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                with process.line() as line:
                    line.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while not stop.is_set():
                        line.sendall(b"1\r\nx\r\n" * 10_000)
            except OSError:
                continue

    floods = [threading.Thread(target=flood, daemon=True) for _ in range(8)]
    for one in floods:
        one.start()
    honest = Asker(process.port, [png], 30)
    assert ask_all([honest]) == {200: 30}
    stop.set()
    for one in floods:
        one.join()
    assert process.memory() - before < 600


def png_of(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel: some kilobytes that say they are very large."""
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * min(height, 7000), 9)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_twenty_thousand_fuzzed_requests_give_no_500(process, png) -> None:
    draw = random.Random(300)
    statuses: Counter[int] = Counter()
    small = picture_file("PNG", (20, 20))
    for _ in range(20_000):
        request, incomplete = fuzzed(draw, small)
        with process.line() as line:
            line.settimeout(20)
            try:
                line.sendall(request)
                if incomplete:  # of a whole one this would be taken for a client that has gone
                    line.shutdown(socket.SHUT_WR)
                answer = line.recv(65536)
            except OSError:
                answer = b""
        found = re.match(rb"HTTP/1.1 (\d+)", answer)
        assert found or incomplete, request
        statuses[int(found.group(1)) if found else 0] += 1
    assert statuses[500] == 0, statuses
    assert len(statuses) >= 6, statuses
    assert ask_all([Asker(process.port, [png], 5)]) == {200: 5}
