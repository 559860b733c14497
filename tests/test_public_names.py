import pydoc
import re
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

import ssd300

DOCUMENT = Path(__file__).parents[1] / "docs" / "api.md"


def tables() -> tuple[list[str], list[tuple[str, str]]]:
    """The names of the first table, and (module, name) of the second."""
    first, second = DOCUMENT.read_text(encoding="utf-8").split("| module | names |")
    names = re.findall(r"^\| `(\w+)` \|", first, re.M)
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", second, re.M)
    return names, [(module, name) for module, text in rows for name in re.findall(r"`(\w+)`", text)]


def test_the_public_names_are_the_documented_ones() -> None:
    names, _ = tables()
    assert sorted(names) == sorted(ssd300.__all__)
    assert dir(ssd300) == sorted(ssd300.__all__)


def test_every_name_can_be_imported_and_listed_without_torch(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "ssd300.learn.train", raising=False)
    monkeypatch.delitem(vars(ssd300), "train", raising=False)
    names: dict = {}
    exec("from ssd300 import *", names)
    assert {*ssd300.__all__} <= {*names}
    assert "load_dataset" in pydoc.render_doc(ssd300)
    with pytest.raises(ssd300.MissingExtraError, match=r"ssd300\.train needs packages that are not installed"):
        names["train"]("cells")


@pytest.mark.parametrize("name", tables()[0])
def test_every_public_name_loads(name) -> None:
    assert getattr(ssd300, name) is not None


@pytest.mark.parametrize(("module", "name"), tables()[1])
def test_every_documented_function_is_there(module, name) -> None:
    assert callable(getattr(import_module(module), name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="its public names: COCO"):
        _ = ssd300.Detectr


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert version("ssd300") == ssd300.__version__


@pytest.mark.parametrize("statement", ["import ssd300", "from ssd300 import __version__, SSD300Error"])
def test_import_loads_nothing_heavy(statement) -> None:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"numpy", "PIL", "openvino", "torch", "matplotlib", "typer", "rich", "safetensors", "simplejpeg"}
    assert not heavy & set(loaded)


def test_the_verbs_can_be_called_though_two_of_them_are_packages(tmp_path) -> None:
    from ssd300.errors import ArgumentError
    from ssd300.evaluate.run import evaluate

    assert ssd300.evaluate.evaluate is evaluate
    with pytest.raises(ArgumentError, match=r"out is model\.h5: expected a name with the extension \.onnx, \.xml"):
        ssd300.export("default", "model.h5")
    with pytest.raises(ssd300.ModelError, match="neither a file nor a known model"):
        ssd300.evaluate("defalt", tmp_path)
    for verb in (ssd300.train, ssd300.quantize, ssd300.evaluate, ssd300.export):
        assert callable(verb)


@pytest.mark.parametrize(
    ("verb", "argument"), [("evaluate", "data: ssd300.data.dataset.Dataset | str"), ("export", "out: str")]
)
def test_help_has_the_arguments_of_the_verbs_that_are_packages(verb, argument) -> None:
    package = getattr(ssd300, verb)
    assert argument in str(signature(package))
    assert f"    {verb}(" in (text := pydoc.plain(pydoc.render_doc(package)))
    assert argument in text
    assert {verb, "__path__"} <= {*dir(package)}
    with pytest.raises(AttributeError, match=rf"module 'ssd300\.{verb}' has no attribute 'absent'; it has .*{verb}"):
        _ = package.absent
