"""The docstrings on the page of Python names keep their form as Markdown: rows and examples are sections or code."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import ssd300.errors

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
NAMES = re.findall(r"^::: (\S+)", PAGE.read_text(encoding="utf-8"), re.M)


def fault_of(docstring: str) -> str:
    """The first line that Markdown would join with its neighbors, or take for a quotation; empty if there is none."""
    lines = (line for line in docstring.splitlines() if not line.startswith("    "))
    return next((line for line in lines if line.startswith(">>>") or re.search(r"\S {2,}\S", line)), "")


def docstrings(name: str) -> Iterator[str]:
    """Those of an object or a module, and of the public members of a class."""
    module, _, attribute = name.rpartition(".")
    try:
        shown = import_module(name)
    except ModuleNotFoundError:
        shown = getattr(import_module(module), attribute)
    members = [one for name, one in vars(shown).items() if name[0] != "_"] if inspect.isclass(shown) else []
    for one in (shown, *(getattr(member, "__func__", member) for member in members)):
        if inspect.ismodule(one) or inspect.isclass(one) or inspect.isroutine(one) or inspect.isdatadescriptor(one):
            yield inspect.getdoc(one) or ""


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("", ""),
        ("A box.\n\n>>> Box()", ">>> Box()"),
        ("A box.\n\nleft  its left side\ntop   its top", "left  its left side"),
        ("A box.\n\nAttributes:\n    left: its  side\n\nExamples:\n    >>> Box()", ""),
    ],
)
def test_a_fault_is_found(docstring: str, fault: str) -> None:
    assert fault_of(docstring) == fault


def test_every_public_name_is_shown() -> None:
    """Those of `ssd300`, and the second table of api.md; errors are shown as a module."""
    lists = re.findall(r"members: \[(.+)\]", PAGE.read_text(encoding="utf-8"))
    shown = {name.rpartition(".")[2] for name in NAMES} | {name for names in lists for name in names.split(", ")}
    rows = (PAGE.parents[1] / "api.md").read_text(encoding="utf-8").split("| module | names |")[1]
    listed = {*re.findall(r"`(\w+)`", rows), *ssd300.__all__} - {"COCO", "__version__"}
    assert {name for name in listed - shown if not hasattr(ssd300.errors, name)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_keep_their_form(name: str) -> None:
    assert [fault for one in docstrings(name) if (fault := fault_of(one))] == []
