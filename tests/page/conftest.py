"""A real browser: Debian's chromium, driven by Playwright. Every request that leaves this machine fails the test."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Client, serving
from ssd300.serve.models import Models
from ssd300.serve.settings import Settings

MODULES = Path(__file__).parent / "node_modules"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = Path(__file__).parents[2] / "examples" / "images"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    path = MODULES / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("axe-core is not here: make tests/page/node_modules")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def web_runtime() -> Path:
    if not (MODULES / "onnxruntime-web").exists():
        pytest.skip("onnxruntime-web is not here: make tests/page/node_modules")
    return MODULES / "onnxruntime-web"


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    with serving(Models.load({"default": "default"}, threads=2), Settings(timeout=60)) as one:
        yield one


class Watched:
    """A page and what it did: addresses that it asked, and faults in its console."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.set_default_timeout(60_000)
        context.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)

    def open(self, address: str) -> Any:
        self.page.goto(address)
        return self.page

    def outside(self, own: str) -> list[str]:
        return [url for url in self.asked if not url.startswith((own, "blob:", "data:"))]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Any]:
    """Open an address in a fresh browser context: `opened(address, **context options)`."""
    contexts = []

    def open_it(address: str, **options: Any) -> Watched:
        contexts.append(chromium.new_context(accept_downloads=True, **options))
        watched = Watched(contexts[-1])
        watched.open(address)
        return watched

    yield open_it
    for context in contexts:
        context.close()
