"""Write the table of training settings into docs/training.md from `Recipe`, the one place where they are declared."""

from dataclasses import fields
from pathlib import Path

from ssd300.learn.recipe import RECIPES, Recipe, describe_limits

START, END = "<!-- settings: written by `python docs/settings.py`, held by a test -->\n", "<!-- end of settings -->\n"
DOCUMENT = Path(__file__).with_name("training.md")


def table() -> str:
    """The table in Markdown: a row a setting, its value in each recipe where it differs from the published one."""
    lines = ["| option | effect | takes | published | modern | quick |", "|---|---|---|---|---|---|"]
    for f in fields(Recipe):
        values = [shown(getattr(recipe, f.name)) for recipe in RECIPES.values()]
        cells = [values[0], *("" if value == values[0] else value for value in values[1:])]
        takes = "" if f.type is bool else describe_limits(f.type, f.metadata["low"], f.metadata["high"])
        option = f"`--{f.name.replace('_', '-')}`"
        lines.append(f"| {' | '.join([option, f.metadata['effect'], takes, *cells])} |")
    return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def with_table(text: str) -> str:
    """The document with the table between its two marks."""
    before, rest = text.split(START)
    return before + START + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
