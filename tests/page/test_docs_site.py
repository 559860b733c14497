"""The documentation site: built without a warning, usable by everybody, and it asks nobody else for anything."""

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
PAGES = ("index.html", "detect.html", "training.html", "reference/cli.html", "reference/python.html")
PAGES += ("notebooks/video_counting.html",)
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("zensical", reason="zensical is not installed: pip install '.[docs]'")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    for command in (["docs/reference.py"], ["docs/notebooks.py"], ["-m", "zensical", "build", "--strict", "--clean"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    assert "No issues found" in told
    assert "griffe" not in told  # a docstring whose arguments are not the function's
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT / "site"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("look", [DESKTOP, {**DESKTOP, "color_scheme": "dark"}, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_site(opened, address, axe, name, look) -> None:
    watched = opened(f"{address}/{name}", bypass_csp=True, **look)
    watched.page.evaluate(axe)
    found = watched.page.evaluate("axe.run().then((result) => result.violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watched.outside(address) == []
    assert watched.faults == []
