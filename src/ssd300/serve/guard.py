"""Middleware for every request: its id, API key, log line, metrics, and error responses instead of tracebacks."""

import asyncio
import hmac
import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ssd300.serve.metrics import Metrics
from ssd300.serve.problem import Problem, answer, busy
from ssd300.serve.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOGGER = logging.getLogger("ssd300.serve")
GONE = 499  # in logs and metrics: the client disconnected before the answer
GUARDED = ("/v1/", "/v2", "/metrics", "/private/model.onnx")  # paths that need a key if keys are set
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # of a client; in place of any other a new one is made


class Guard:
    """The outermost middleware. `state.quiet` paths (health) are not logged."""

    QUIET = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(raw=scope["headers"])
        given = headers.get("x-request-id", "")
        exchange = _Exchange(scope, given if _ID.fullmatch(given) else uuid.uuid4().hex, receive, send)
        scope["state"] = {**scope.get("state", {}), "request_id": exchange.request_id, "exchange": exchange}
        try:
            self._check_host(headers.get("host", ""))
            if self.settings.keys and scope["path"].startswith(GUARDED):
                self._check_key(headers)
            await self.app(scope, exchange.receive, exchange.send)
        except Problem as problem:
            await exchange.refuse(problem)
        except ClientDisconnect:
            exchange.status = GONE
        except asyncio.CancelledError:  # by the server, which stops and waits no longer
            if exchange.begun or not scope["app"].state.draining:
                raise
            await exchange.refuse(busy(503, "this server is stopping; send it again, to another one"))
        finally:
            self._finish(exchange)

    def _check_host(self, host: str) -> None:
        if self.settings.hosts is None:
            return
        name = _name_of_host(host)
        if not (_is_local(name) or name in self.settings.hosts):
            raise Problem(421, f"this server does not answer as {name[:80]!r}: start it with --allow-host {name[:80]}")

    def _check_key(self, headers: Headers) -> None:
        text = headers.get("authorization", "")
        bearer = text[7:] if text[:7].lower() == "bearer " else text
        given = headers.get("x-api-key") or bearer.strip()
        # Every key is compared in constant time, so that timing reveals nothing about the keys.
        if not sum(hmac.compare_digest(given.encode(), key.encode()) for key in self.settings.keys):
            found = "the key is not one of this server's" if given else "no key"
            raise Problem(
                401,
                f"{found}: send Authorization: Bearer KEY, or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _finish(self, exchange: "_Exchange") -> None:
        metrics, seconds = self.metrics, time.perf_counter() - exchange.started
        route = _path_of_route(exchange.scope)
        metrics.requests.labels(route, str(exchange.status)).inc()
        metrics.seconds.labels(route).observe(seconds)
        metrics.bytes_in.inc(exchange.bytes_in)
        metrics.bytes_out.inc(exchange.bytes_out)
        if exchange.status == GONE:
            metrics.abandoned.inc()
        elif exchange.status >= 400:
            metrics.rejections.labels(str(exchange.status)).inc()
        if exchange.scope["path"] not in self.QUIET or exchange.status >= 500:
            LOGGER.info("request", extra={"fields": exchange.fields(seconds)})


def _name_of_host(host: str) -> str:
    """The name or address of a Host header, without its port, in lower case.

    >>> _name_of_host("Example.org:8000"), _name_of_host("[::1]:8000"), _name_of_host("")
    ('example.org', '::1', '')
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.strip().rstrip(".").lower()


def _is_local(name: str) -> bool:
    """Whether no name server of somebody else can point this name here: DNS rebinding needs one that can."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name.endswith(".localhost")  # RFC 6761; HTTP/1.0 has no Host
    return True


def _path_of_route(scope: Message) -> str:
    """The path of the route that answered, or "other"; only new versions of Starlette give the route itself."""
    routes = scope["app"].routes if "endpoint" in scope else ()
    return next((route.path for route in routes if route.endpoint == scope["endpoint"]), "other")


class _Exchange:
    """One request and its answer, for the log."""

    def __init__(self, scope: Message, request_id: str, receive: Receive, send: Send) -> None:
        self.scope, self.request_id, self._receive, self._send = scope, request_id, receive, send
        self.started = time.perf_counter()
        self.status, self.bytes_in, self.bytes_out, self.pictures = 500, 0, 0, 0
        self.begun = False  # whether the answer's head is sent

    async def refuse(self, problem: Problem) -> None:
        response = answer(problem, self.request_id, kserve=self.scope["path"].startswith("/v2"))
        await response(self.scope, self.receive, self.send)

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun = message["status"], True
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cache-Control", "no-store")
            if self.scope["app"].state.draining:
                headers["Connection"] = "close"  # the client's next request goes to another server
        elif self.scope["method"] != "HEAD":  # whose body the connection drops
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    def fields(self, seconds: float) -> dict[str, Any]:
        client = self.scope.get("client")
        return {
            "id": self.request_id,
            "client": client[0] if client else None,
            "method": self.scope["method"],
            "path": self.scope["path"][:200],
            "status": self.status,
            "ms": round(1000 * seconds, 2),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "pictures": self.pictures,
        }


async def plain_answer(request: Request, error: Exception) -> Response:
    """Starlette's errors (404, 405) and unexpected errors, which are logged, as problem details."""
    request_id = getattr(request.state, "request_id", "")
    kserve = request.scope["path"].startswith("/v2")
    if isinstance(error, HTTPException):
        words = {404: "no such path; /docs lists all", 405: "this path has another method; see /docs"}
        detail = words.get(error.status_code, str(error.detail))
        return answer(Problem(error.status_code, detail, headers=error.headers), request_id, kserve=kserve)
    LOGGER.error("internal error", exc_info=error, extra={"fields": {"id": request_id}})
    return answer(Problem(500, "an internal error; the server's log has the request_id"), request_id, kserve=kserve)
