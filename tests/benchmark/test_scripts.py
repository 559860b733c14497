"""The scripts beside the package, which are run by hand and rarely, name what there is in it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for folder in ("benchmarks", "docs", "notebooks") for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_script_imports_names_that_exist(script) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "ssd300":
            exec(ast.unparse(node), {})


def test_scripts_are_found() -> None:
    assert len(SCRIPTS) > 40
