"""The notebooks: each is its script, was executed, is small, and runs from start to end without network."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("evaluation", "hub_tutorial", "int8_and_export", "own_pictures", "video_counting")
LARGEST = 300_000  # bytes


def load_build():
    spec = importlib.util.spec_from_file_location("build_notebooks", FOLDER / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()


def cells(notebook) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_these_are_all() -> None:
    assert tuple(path.stem for path in build.scripts()) == NAMES
    assert tuple(path.stem for path in sorted(FOLDER.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_its_script_executed(name) -> None:
    path = FOLDER / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    script = build.notebook_of((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    assert cells(notebook) == cells(script), "run: make notebooks"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(output for cell in code for output in cell.outputs)
    text = path.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert '"output_type": "error"' not in text
    assert "/home/" not in text
    assert "/tmp/" not in text


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name, tmp_path) -> None:
    notebook = build.execute(FOLDER / f"{name}.py", tmp_path)
    kept = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    shown, expected = ([kinds(cell) for cell in one.cells] for one in (notebook, kept))
    assert shown == expected


def kinds(cell) -> set[str]:
    """What a cell's outputs are, without what differs from run to run."""
    outputs = cell.get("outputs", [])
    return {kind for output in outputs for kind in output.get("data", {output.get("name"): ""})}
