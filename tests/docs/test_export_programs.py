"""The programs in docs/export.md, taken from the page, give the detections that onnxruntime gives in Python.

They need what this project does not install: for C++ a compiler and onnxruntime's headers (Debian 13 and later:
libonnxruntime-dev; elsewhere set ONNXRUNTIME_INCLUDE), the library comes with the Python package. For JavaScript Node
and the folder node_modules with onnxruntime-web (in the root of the project, or set ONNXRUNTIME_NODE_MODULES).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ssd300.export.files import OnnxDetections
from ssd300.export.onnx import OnnxOptions, build_onnx
from ssd300.export.verify import count_equal
from ssd300.images.resize import load_for_network
from ssd300.weights.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
PICTURE = ROOT / "examples" / "images" / "coffee.jpg"


def program(language):
    """The first code block of a language on the page."""
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def folder(seeded_checkpoint, tmp_path_factory):
    """A folder with the files that the page speaks of: cells.onnx and picture.rgb."""
    folder = tmp_path_factory.mktemp("export_page")
    (folder / "cells.onnx").write_bytes(
        build_onnx(*read_checkpoint(seeded_checkpoint), OnnxOptions()).SerializeToString()
    )
    (folder / "picture.rgb").write_bytes(load_for_network(PICTURE)[0].tobytes())
    return folder


def assert_lists_the_detections(text, folder):
    rows = np.array([line.split() for line in text.splitlines()], np.float32)
    expected = OnnxDetections((folder / "cells.onnx").read_bytes()).detect(
        np.fromfile(folder / "picture.rgb", np.uint8).reshape(300, 300, 3)
    )
    printed = rows[:, 2:], rows[:, 0].astype(np.int64) + 1, rows[:, 1]
    assert len(rows) == len(expected[1]) > 10
    assert count_equal(expected, printed, 2e-4) == len(rows)  # four digits; builds of onnxruntime round differently


def test_python(folder):
    """All Python blocks of the page, from a folder that has what they name."""
    (folder / "examples").symlink_to(ROOT / "examples")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("[")


def onnxruntime_headers():
    places = [os.environ.get("ONNXRUNTIME_INCLUDE"), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"]
    return next((p for p in places if p and (Path(p) / "onnxruntime_cxx_api.h").is_file()), None)


@pytest.mark.slow
def test_cpp(folder):
    headers = onnxruntime_headers()
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not shutil.which("g++"):
        pytest.skip("no g++ on this machine")
    if not headers:
        pytest.skip("no onnxruntime_cxx_api.h: install libonnxruntime-dev, or set ONNXRUNTIME_INCLUDE to its folder")
    if not libraries:
        pytest.skip("the Python package of onnxruntime has no libonnxruntime.so on this platform")
    (folder / "detect.cpp").write_text(program("cpp"))
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # the names that an installed library has
        (folder / name).symlink_to(libraries[0])
    compile_ = f"g++ -std=c++17 detect.cpp -I{headers} -L. -lonnxruntime -Wl,-rpath,{folder} -o detect".split(" ")
    subprocess.run(compile_, cwd=folder, check=True, timeout=280)
    result = subprocess.run(["./detect", "cells.onnx", "picture.rgb"], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert '"classes"' in result.stderr
    assert_lists_the_detections(result.stdout, folder)


@pytest.mark.slow
def test_javascript(folder):
    modules = Path(os.environ.get("ONNXRUNTIME_NODE_MODULES") or ROOT / "node_modules")
    if not shutil.which("node"):
        pytest.skip("no node on this machine")
    if not (modules / "onnxruntime-web").is_dir():
        pytest.skip("no onnxruntime-web: npm install onnxruntime-web, or set ONNXRUNTIME_NODE_MODULES")
    (folder / "node_modules").symlink_to(modules.resolve())
    (folder / "detect.mjs").write_text(program("js"))
    command = ["node", "detect.mjs", "cells.onnx", "picture.rgb"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert_lists_the_detections(result.stdout, folder)
