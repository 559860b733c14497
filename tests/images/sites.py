"""A web server of a few pages, on loopback."""

from http.server import BaseHTTPRequestHandler


class Site(BaseHTTPRequestHandler):
    """Answers by path; `pages` maps a path to bytes, a status, or (status, Location)."""

    pages: dict[str, object]
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        page = self.pages.get(self.path, 404)
        if isinstance(page, bytes):
            self._send(200, page, {"Content-Length": str(len(page))})
        elif isinstance(page, tuple):
            self._send(page[0], b"", {"Location": page[1]})
        elif callable(page):
            page(self)
        else:
            self._send(page, b"", {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass
