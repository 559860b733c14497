"""Error responses: application/problem+json (RFC 9457), never a traceback."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response


class Problem(Exception):
    """A refused request: the status, and a message with what was found, what was expected and the remedy."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def busy(status: int, detail: str, seconds: float = 1) -> Problem:
    """A temporary refusal: 429 or 503 with Retry-After in whole seconds, 1 to 60."""
    return Problem(status, detail, headers={"Retry-After": str(min(max(int(seconds + 0.999), 1), 60))})


@asynccontextmanager
async def answering_within(seconds: float) -> AsyncIterator[None]:
    """Raises Problem 503 if the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise busy(503, f"no answer after {seconds:g} seconds (--timeout); try again later") from error


def answer(problem: Problem, request_id: str, *, kserve: bool = False) -> Response:
    """The refusal as a response; KServe's protocol has another body."""
    detail = problem.detail.encode("utf-8", "backslashreplace").decode()  # half characters that a client sent
    content: dict[str, Any] = {"error": detail}
    if not kserve:
        content = {
            "type": "about:blank",
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": detail,
            "request_id": request_id,
        }
    media = "application/json" if kserve else "application/problem+json"
    headers = {"X-Request-ID": request_id, **problem.headers}
    return JSONResponse(content, problem.status, headers=headers, media_type=media)
