"""`ssd300 serve`: detection over HTTP, with a web page."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd300.cli.messages import print_message
from ssd300.cli.options import Precision, Threads
from ssd300.errors import ArgumentError

if TYPE_CHECKING:
    from ssd300.serve.settings import Private

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.")] = 8000,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A model and its name; may be repeated, the first one is the default."),
    ] = None,
    precision: Precision = "auto",
    threads: Threads = None,
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="Most bytes of a request.")] = "32M",
    max_pixels: Annotated[int, typer.Option(min=1, help="Most pixels of a picture.")] = 50_000_000,
    queue: Annotated[int, typer.Option(min=1, help="Most waiting pictures; more are refused with 429.")] = 64,
    timeout: Annotated[float, typer.Option(help="Seconds to receive a body, and again to answer.")] = 10,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keys, one per line; each request must have one of them.")
    ] = None,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="Allow requests with public http(s) URLs of pictures.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which clients or a proxy may call this server; may be repeated. On a loopback address "
            "without keys only localhost and IP addresses are allowed; else any name.",
        ),
    ] = None,
    web_runtime: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|fetch",
            help="Lets the page detect in the browser: onnxruntime-web as `npm pack` writes it; fetch downloads it.",
        ),
    ] = None,
) -> None:
    """Serve detection over HTTP.

    A web page at /, the API under /docs, metrics for Prometheus at /metrics.

    SIGTERM, Ctrl-C and a closed terminal finish running requests and stop, within 5 seconds.
    """
    from ssd300.images.fetch import is_offline
    from ssd300.serve.app import create_app
    from ssd300.serve.models import Models
    from ssd300.serve.run import address_of, bind, is_loopback, run_server
    from ssd300.serve.settings import Settings, read_keys, size_in_bytes

    if allow_urls and is_offline():
        raise ArgumentError("--allow-urls fetches pictures, and --offline (or SSD300_OFFLINE) forbids it: drop one")
    models = parse_models(model or ["default"])
    keys = read_keys(api_key_file) if api_key_file else ()
    with bind(host, port) as listener:
        local = is_loopback(listener)
        settings = Settings(
            max_body=size_in_bytes(max_body),
            max_pixels=max_pixels,
            queue=queue,
            timeout=timeout,
            keys=keys,
            allow_urls=allow_urls,
            hosts=allowed_hosts(allow_host or [], local=local and not keys),
            private=None if web_runtime is None else _private(web_runtime, models),
        )
        app = create_app(Models.load(models, precision=precision, threads=threads), settings)
        if not local and not keys:
            print_message(
                f"everyone who can reach {host} may use this server: "
                "set --api-key-file, or put an authenticating proxy in front of it"
            )
        run_server(app, listener, lambda: print(f"Listening on {address_of(listener)}", flush=True))


def _private(web_runtime: str, models: dict[str, str]) -> "Private":
    """The files for detection in the browser: the runtime, and each model as ONNX in float16."""
    from ssd300.export.files import load_source
    from ssd300.export.html import make_browser_model, read_web_runtime
    from ssd300.export.write import require_writer
    from ssd300.serve.settings import Private
    from ssd300.weights.catalog import resolve

    require_writer("html")
    runtime = read_web_runtime(web_runtime)
    files = {name: make_browser_model(*load_source(resolve(model)), half=True)[0] for name, model in models.items()}
    return Private(runtime.script, runtime.wasm, files)


def allowed_hosts(given: list[str], *, local: bool) -> tuple[str, ...] | None:
    """The names that requests may have as their Host: those of `--allow-host`, or None for any. Raises ArgumentError.

    `local`: a server for this machine alone must not answer to any name. A web site could let its own name point to
    this machine, and read the answers in the visitor's browser (DNS rebinding).
    """
    for name in given:
        if not _HOST.fullmatch(name):
            raise ArgumentError(f"--allow-host is {name!r}: expected a name without port or path, such as example.org")
    return tuple(name.lower().rstrip(".") for name in given) if given or local else None


def parse_models(given: list[str]) -> dict[str, str]:
    """name -> model of each `--model`: NAME=FILE, or a FILE or catalog name alone. Raises ArgumentError."""
    models: dict[str, str] = {}
    for text in given:
        name, equals, model = text.partition("=")
        if not equals:
            name, model = Path(text).stem, text
        if not _NAME.fullmatch(name) or not model:
            raise ArgumentError(
                f"--model is {text!r}: expected NAME=FILE, with a NAME of letters, digits, dots, dashes and underscores"
            )
        if name in models:
            raise ArgumentError(f"--model {name!r} is given twice: choose another NAME in NAME=FILE")
        models[name] = model
    return models
