"""Draw pictures of this documentation into docs/images: `python docs/pictures.py [NAME ...] [--run FOLDER]`.

`flow`, `augmentation` need the package; `report` and `page` are screenshots and need playwright with a chromium that is
installed; `curves` takes the folder of a training run. `draw_default_boxes.py` draws the default boxes.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
LARGEST = 80_000  # bytes
sys.path.insert(0, str(ROOT / "notebooks"))

STEPS = (  # what goes through the flow, its shape, and the file that makes it
    ("source", "path, bytes, array, frame", "images/source.py"),
    ("pixels", "uint8 [H, W, 3]", "images/decode.py"),
    ("300x300", "uint8 [300, 300, 3]", "images/resize.py"),
    ("network", "boxes, margins of 8732", "runtime/"),
    ("selection", "score, NMS", "postprocess.py"),
    ("Detections", "pixels of the original", "detections.py"),
)


def flow(options: argparse.Namespace) -> None:
    """Source to detections as SVG, in two rows; its own light ground, so that it can be read on a dark page, too."""
    wide, high, gap, row = 190, 96, 40, 3
    parts = []
    for i, (name, shape, place) in enumerate(STEPS):
        column = i if i < row else 2 * row - 1 - i  # the second row runs back
        x, y = 10 + column * (wide + gap), 10 + i // row * (high + gap)
        parts.append(f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="8" fill="#eef3fb" stroke="#35507a"/>')
        parts += [
            f'<text x="{x + wide / 2}" y="{y + down}" font-size="{size}" font-weight="{weight}">{text}</text>'
            for down, size, weight, text in (
                (34, 18, "bold", name),
                (58, 14, "normal", shape),
                (80, 13, "normal", place),
            )
        ]
        if i + 1 < row:
            parts.append(arrow(x + wide + 4, y + high / 2, gap - 8, 0))
        elif i + 1 == row:
            parts.append(arrow(x + wide / 2, y + high + 4, gap - 8, 90))
        elif i + 1 < len(STEPS):
            parts.append(arrow(x - 4, y + high / 2, gap - 8, 180))
    width, height = 20 + row * (wide + gap) - gap, 20 + 2 * high + gap
    style = "text{font-family:sans-serif;text-anchor:middle;fill:#1b2a41}path{fill:#35507a}"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"><style>{style}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
    (IMAGES / "flow.svg").write_text(text, encoding="utf-8")


def arrow(x: float, y: float, length: float, degrees: int) -> str:
    shape = f"M0 -1h{length - 10}v-5l10 6l-10 6v-5h-{length - 10}z"
    return f'<path transform="translate({x} {y}) rotate({degrees})" d="{shape}"/>'


def augmentation(options: argparse.Namespace) -> None:
    """Six made pictures, each followed by what the recipe `quick` makes of it."""
    from made_data import photographs

    with tempfile.TemporaryDirectory() as scratch:
        data, sheets = photographs(Path(scratch) / "data", 6, seed=4), Path(scratch) / "sheets"
        command = [sys.executable, "-m", "ssd300", "data", "view", data, "--out", sheets]
        subprocess.run([*command, "--augment", "modern", "--number", "6", "--tile", "200"], check=True)
        store(Image.open(sheets / "sheet-001.png"), "augmentation")


def curves(options: argparse.Namespace) -> None:
    """The curves of a training run."""
    if options.run is None:
        sys.exit("curves: give the folder of a run with --run")
    store(Image.open(options.run / "curves.png"), "curves")


def report(options: argparse.Namespace) -> None:
    """The top of an evaluation report, and the kinds of error."""
    from made_data import photographs

    import ssd300
    from ssd300.evaluate import write_report

    with tempfile.TemporaryDirectory() as scratch, browser_page(1000, 1250) as page:
        data = photographs(Path(scratch) / "photographs", 40)
        path = write_report(ssd300.evaluate("default", data), Path(scratch) / "report")
        page.goto(path.as_uri())
        store(picture_of(page), "report")


def page(options: argparse.Namespace) -> None:
    """The server's web page with an answer."""
    command = [sys.executable, "-m", "ssd300", "serve", "--port", "8973"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("http://127.0.0.1:8973/")
        with browser_page(1100, 640) as shown:
            shown.goto("http://127.0.0.1:8973/")
            shown.set_input_files("#file", ROOT / "examples" / "images" / "coffee.jpg")
            shown.wait_for_selector("#count:not(:text('Nothing yet'))")
            store(picture_of(shown), "page")
    finally:
        server.terminate()
        server.wait()


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": width, "height": height})
        opened.set_default_timeout(120_000)
        yield opened
        browser.close()


def picture_of(page: Any) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot()))


def wait_for(address: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def store(picture: Image.Image, name: str) -> None:
    """As WebP of at most LARGEST bytes."""
    for quality in (85, 75, 65, 55, 45):
        content = io.BytesIO()
        picture.convert("RGB").save(content, "WEBP", quality=quality, method=6)
        if len(content.getvalue()) <= LARGEST:
            break
    (IMAGES / f"{name}.webp").write_bytes(content.getvalue())
    print(f"{name}.webp: {len(content.getvalue()) / 1000:.0f} kB, {picture.width}x{picture.height}")


DRAWN = {"flow": flow, "augmentation": augmentation, "report": report, "page": page, "curves": curves}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DRAWN))
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    for name in options.names or [name for name in DRAWN if name != "curves" or options.run]:
        DRAWN[name](options)


if __name__ == "__main__":
    main()
