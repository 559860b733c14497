"""The settings of the Makefile take effect, or are refused, also where an environment is there already."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB = '#!/bin/sh\ncase "$1" in -V) echo "Python 3.0.7";; *) echo "$@" >> calls;; esac\n'

pytestmark = pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="needs make and a shell")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A clone whose environments are made, with a Python that notes what it is called with."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for environment, stamps in ((".venv", ("made", "base", "dev")), (".venv-oldest", ("made",))):
        python = tmp_path / environment / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(STUB)
        python.chmod(0o755)
        for stamp in stamps:
            (tmp_path / environment / stamp).touch()
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "TORCH", "MAKEFLAGS")}
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("target", ["demo", "test", "test-oldest"])
@pytest.mark.parametrize(("python", "refused"), [("", False), ("PYTHON=.venv/bin/python", False), ("PYTHON=:", True)])
def test_a_python_that_is_named_is_that_of_the_environment(folder, target, python, refused) -> None:
    done = make(folder, target, *filter(None, [python]))
    assert (done.returncode != 0, "has Python 3.0.7: remove it" in done.stdout) == (refused, refused), done.stderr
    assert (folder / "calls").exists() != refused


def test_a_torch_that_is_named_is_installed_before_the_tests(folder) -> None:
    assert make(folder, "test", "TORCH=torch==2.12.0").returncode == 0
    calls = (folder / "calls").read_text().splitlines()
    [at] = [place for place, call in enumerate(calls) if call.endswith("torch==2.12.0")]
    assert at < min(place for place, call in enumerate(calls) if "pytest" in call)
