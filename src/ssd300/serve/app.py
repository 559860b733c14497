"""The routes of the server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ssd300.serve.detecting import Detecting
from ssd300.serve.guard import Guard, plain_answer
from ssd300.serve.kserve import kserve_routes
from ssd300.serve.metrics import Metrics
from ssd300.serve.models import Models
from ssd300.serve.openapi import document
from ssd300.serve.page import page_routes, render_html
from ssd300.serve.problem import busy
from ssd300.serve.settings import Settings

STATIC_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(models: Models, settings: Settings) -> Starlette:
    """The ASGI app. `app.state.detecting` and `app.state.draining` are for its runner."""
    metrics = Metrics()
    detecting = Detecting(models, settings, metrics)

    async def list_models(_: Request) -> Response:
        return JSONResponse({"models": [one.facts() for one in models.by_name.values()]})

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        if request.app.state.draining:
            raise busy(503, "this server is stopping; ask another one")
        return JSONResponse({"status": "ready"})

    async def numbers(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(_: Request) -> Response:
        return Response(json.dumps(document(settings), indent=1), media_type="application/json")

    async def docs(request: Request) -> Response:
        headers = {"Content-Security-Policy": STATIC_POLICY, "Referrer-Policy": "no-referrer"}
        page = render_html(document(settings), request.scope["scheme"], request.headers.get("host", ""))
        return Response(page, media_type="text/html", headers=headers)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        detecting.close()

    app = Starlette(
        routes=[
            Route("/v1/detect", detecting.detect, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", numbers),
            Route("/openapi.json", openapi),
            Route("/docs", docs),
            *kserve_routes(detecting),
            *page_routes(models, settings),
        ],
        middleware=[Middleware(Guard, settings=settings, metrics=metrics)],
        exception_handlers={HTTPException: plain_answer, Exception: plain_answer},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would redirect to what this server is called behind a proxy
    app.state.draining, app.state.detecting = False, detecting
    return app
