"""The names that users of the package import, and that importing them loads nothing heavy."""

import subprocess
import sys

import pytest

import ssd300.evaluate


@pytest.mark.parametrize("name", ssd300.evaluate.__all__)
def test_every_name_is_there(name):
    assert getattr(ssd300.evaluate, name).__name__ == name


def test_an_unknown_name():
    with pytest.raises(AttributeError, match=r"no attribute 'evaluat'; it has compare"):
        ssd300.evaluate.evaluat  # noqa: B018


def test_counting_loads_neither_torch_nor_matplotlib_nor_openvino():
    code = "import ssd300.evaluate, sys; ssd300.evaluate.compare, ssd300.evaluate.write_report; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "matplotlib", "openvino", "hotcoco"} & set(loaded)
