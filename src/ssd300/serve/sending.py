"""Responses in pieces: a client that reads slowly holds one piece in its connection, not another copy of the answer."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ssd300 import limits
from ssd300.serve.body import Body

READING_BYTES = limits.READING_BYTES


class PiecewiseResponse(Response):
    """A response that is sent as fast as the client takes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), READING_BYTES):
            piece = self.body[start : start + READING_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})  # waits for the pieces before it


class HeldResponse(PiecewiseResponse):
    """A response whose bytes are counted in the request's `body` until the client has taken them.

    Raises Problem 503 if those of other requests leave no room.
    """

    def __init__(self, content: bytes, media: str, body: Body) -> None:
        super().__init__(content, media_type=media)
        self._counted_in = body
        body.count_answer(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._counted_in.release()
