"""Packages that report their use write an identifier of the user or the machine below the home folder first."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("onnxruntime")

DOCTOR = "from ssd300.cli.doctor_extras import import_faults; print(import_faults(['openvino', 'onnxruntime', 'nncf']))"


@pytest.mark.parametrize("code", ["import ssd300.runtime, openvino, onnxruntime; print({})", DOCTOR])
def test_no_package_writes_an_identifier(code, tmp_path):
    given = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA"), str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], env=given | homes, capture_output=True, text=True)
    assert done.stdout == "{}\n", done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
