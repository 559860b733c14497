"""The hooks for PyInstaller: where they are found, and a frozen program that detects."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ssd300.frozen import get_hook_dirs

PROGRAM = """
import sys
from ssd300 import Detector
print(len(Detector.load(threads=1).detect(sys.argv[1])))
"""
UNUSED = ("torch", "nncf", "matplotlib", "scipy", "pandas", "onnx", "onnxruntime", "cv2", "ray", "pyarrow", "hotcoco")


def test_the_hooks_are_where_the_entry_point_says():
    [folder] = get_hook_dirs()
    assert sorted(path.name for path in Path(folder).glob("hook-*.py")) == [
        "hook-openvino.py",
        "hook-ssd300.cli.main.py",
        "hook-ssd300.py",
    ]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(find_spec("PyInstaller") is None, reason="PyInstaller is not installed")
def test_a_frozen_program_detects(tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM)
    [hooks] = get_hook_dirs()
    left_out = [word for name in UNUSED for word in ("--exclude-module", name)]
    source = str(Path(__file__).parents[1] / "src")
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--additional-hooks-dir", hooks]
    subprocess.run([*command, "--paths", source, *left_out, "app.py"], cwd=tmp_path, check=True)
    picture = Path(__file__).parents[1] / "examples" / "images" / "coffee.jpg"
    done = subprocess.run([tmp_path / "dist/app/app", picture], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 1
