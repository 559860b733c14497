"""Write notebooks/NAME.ipynb from notebooks/NAME.py, executed, with its outputs: `make notebooks`.

A script becomes a notebook cell by cell (`# %%`, `# %% [markdown]`). It runs in a copy, without network. Pictures in
the outputs are stored as JPEG of at most 640 pixels, so that a notebook stays small.
"""

import base64
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
LONGEST, QUALITY = 640, 75  # of pictures in outputs
SECONDS = 1800  # a cell may take


def scripts() -> list[Path]:
    """The scripts that are notebooks."""
    return [path for path in sorted(FOLDER.glob("*.py")) if path.read_text(encoding="utf-8").startswith("# %%")]


def notebook_of(script: str) -> nbformat.NotebookNode:
    """The notebook without outputs, the same for the same script."""
    cells = []
    for number, part in enumerate(script.split("# %%")[1:]):
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
            cells.append(nbformat.v4.new_markdown_cell(text, id=f"cell-{number}"))
        else:
            cells.append(nbformat.v4.new_code_cell(body.strip(), id=f"cell-{number}"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.validate(notebook)
    return notebook


def execute(script: Path, copy: Path) -> nbformat.NotebookNode:
    """The script's notebook with its outputs, run in the empty folder `copy`, which is made to look like a clone.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    for name in ("hubconf.py", "src", "examples"):
        (copy / name).symlink_to(ROOT / name)
    place = copy / "notebooks"
    place.mkdir()
    shutil.copy(FOLDER / "made_data.py", place)
    notebook = notebook_of(script.read_text(encoding="utf-8"))
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(place)}},
        record_timing=False,
    ).execute(env={**os.environ, "SSD300_OFFLINE": "1"})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_small(output) for output in cell.outputs if not _is_progress(output)]
    notebook.metadata.pop("language_info", None)
    return notebook


def _is_progress(output: nbformat.NotebookNode) -> bool:
    """Whether it is what is left of a progress bar, which needs a terminal or ipywidgets."""
    text = output.get("data", {}).get("text/plain")
    return text is not None and (not text.strip() or "ipywidgets" in text)


def _small(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output with its picture as a small JPEG, and no HTML beside a text."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = Image.open(io.BytesIO(base64.b64decode(data.pop(kind)))).convert("RGB")
            picture.thumbnail((LONGEST, LONGEST))
            stored = io.BytesIO()
            picture.save(stored, "JPEG", quality=QUALITY, optimize=True)
            data["image/jpeg"] = base64.b64encode(stored.getvalue()).decode()
            break
    data.pop("text/html", None)
    return output


def main(names: list[str]) -> None:
    for script in scripts():
        if names and script.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as copy:
            notebook = execute(script, Path(copy))
        target = script.with_suffix(".ipynb")
        target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
