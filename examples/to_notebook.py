"""Write `hub_tutorial.ipynb` from `hub_tutorial.py`: a cell for every `# %%`, without outputs."""

from pathlib import Path

import nbformat

SCRIPT = Path(__file__).with_name("hub_tutorial.py")
NOTEBOOK = SCRIPT.with_suffix(".ipynb")


def notebook_of(script: str) -> str:
    """The notebook's text, the same for the same script."""
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
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook_of(SCRIPT.read_text()))
