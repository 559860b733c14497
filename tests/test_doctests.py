"""The examples in docstrings give what they show."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import ssd300

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(ssd300.__path__, "ssd300.") if not module.name.endswith("__main__")
)


def test_examples_are_found() -> None:
    assert "ssd300.boxes" in MODULES
    assert doctest.testmod(import_module("ssd300.boxes")).attempted > 0


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
