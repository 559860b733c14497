"""Streams to be read over loopback: a clip in a loop as MPEG-TS over HTTP, as HLS, and over RTSP."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def http_live(
    data: bytes,
    *,
    rate: float = 0,
    content_type: str = "video/mp2t",
    cut_after: int = 0,
    password: str = "",
    challenge: str | None = None,
    length: bool = False,
):
    """Sends `data`, with its `length` or without, `rate` bytes a second; (address, connections so far).

    `cut_after`: bytes.
    """
    connections: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connections.append(time.monotonic())
            if password and self.headers.get("Authorization") != password:
                self.send_response(401)
                if challenge:
                    self.send_header("WWW-Authenticate", challenge)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            if length:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            sent = data[:cut_after] if cut_after else data
            step = max(1, int(rate / 25)) if rate else len(sent) or 1
            try:
                for start in range(0, len(sent), step):
                    self.wfile.write(sent[start : start + step])
                    if rate:
                        time.sleep(1 / 25)
            except OSError:
                return

        def log_message(self, *_: object) -> None: ...

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address, connections


@contextmanager
def http_folder(folder: Path, *, ranges: bool = False) -> Iterator[str]:
    """The files of a folder; with `ranges` also parts of them."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, directory=str(folder), **options)

        def do_GET(self) -> None:
            if not ranges or not (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
                super().do_GET()
                return
            data = (folder / self.path.lstrip("/")).read_bytes()
            start = int(match[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:])

        def log_message(self, *_: object) -> None: ...

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


class RtspServer:
    """RTSP with interleaved RTP over TCP: enough of RFC 2326 to play one H.264 clip, paced, again and again.

    `cut_after`: packets after which the connection is cut; `mute`: nothing comes after PLAY; `deaf`: no answer at all.
    """

    def __init__(self, clip: Path, *, cut_after: int = 0, mute: bool = False, deaf: bool = False, rate: float = 25):
        with av.open(str(clip)) as source:
            stream = source.streams.video[0]
            filter_ = av.BitStreamFilterContext("h264_mp4toannexb", stream)
            self.units = [bytes(p) for packet in source.demux(stream) for p in filter_.filter(packet) if p.size]
        self.cut_after, self.mute, self.deaf, self.rate = cut_after, mute, deaf, rate
        self.connections = 0
        self.requests: list[str] = []
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> "RtspServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        self._socket.settimeout(0.1)
        while not self._stop.is_set():
            try:
                line, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, line: socket.socket) -> None:
        with line:
            line.settimeout(0.1)
            playing, sent, data = False, 0, b""
            due = time.monotonic()
            while not self._stop.is_set():
                if playing and not self.mute and time.monotonic() >= due:
                    try:
                        self._send_frame(line, sent)
                    except OSError:
                        return
                    sent, due = sent + 1, due + 1 / self.rate
                    if self.cut_after and sent >= self.cut_after:
                        return
                try:
                    line.settimeout(max(0.001, min(0.1, due - time.monotonic())) if playing else 0.1)
                    piece = line.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not piece:
                    return
                data += piece
                while b"\r\n\r\n" in data:
                    request, _, data = data.partition(b"\r\n\r\n")
                    self.requests.append(request.decode("latin-1"))
                    try:
                        if not self.deaf and self._answer(line, request.decode("latin-1")):
                            playing, due = True, time.monotonic()
                    except OSError:
                        return

    def _answer(self, line: socket.socket, request: str) -> bool:
        verb = request.split(" ", 1)[0].lstrip("$\x00\x01\x02\x03")
        number = re.search(r"CSeq: *(\d+)", request)
        headers, body = "", ""
        if verb == "OPTIONS":
            headers = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif verb == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=clip\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            body += "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
            headers = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif verb == "SETUP":
            headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        line.sendall(
            f"RTSP/1.0 200 OK\r\nCSeq: {number[1] if number else 0}\r\nSession: 1\r\n{headers}\r\n{body}".encode()
        )
        return verb == "PLAY"

    def _send_frame(self, line: socket.socket, number: int) -> None:
        """One access unit as RTP packets: single units, or FU-A fragments of large ones (RFC 6184)."""
        unit = self.units[number % len(self.units)]
        nals = [nal.rstrip(b"\0") for nal in re.split(rb"\x00\x00\x00?\x01", unit) if nal]
        payloads = []
        for nal in nals:
            if len(nal) <= 1200:
                payloads.append(nal)
                continue
            head, kind = nal[0] & 0xE0 | 28, nal[0] & 0x1F
            pieces = [nal[1 + i : 1201 + i] for i in range(0, len(nal) - 1, 1200)]
            for i, piece in enumerate(pieces):
                mark = (0x80 if i == 0 else 0) | (0x40 if i == len(pieces) - 1 else 0)
                payloads.append(bytes([head, mark | kind]) + piece)
        for i, payload in enumerate(payloads):
            self._sequence = (getattr(self, "_sequence", 0) + 1) & 0xFFFF
            mark = 0x80 if i == len(payloads) - 1 else 0
            stamp = round(number * 90000 / self.rate) & 0xFFFFFFFF
            rtp = bytes([0x80, mark | 96]) + self._sequence.to_bytes(2, "big") + stamp.to_bytes(4, "big") + b"\0\0\0\1"
            line.sendall(b"$\0" + (len(rtp) + len(payload)).to_bytes(2, "big") + rtp + payload)
