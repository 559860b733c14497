"""The hub tutorial runs from start to end, as a script."""

from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "notebooks" / "hub_tutorial.py"


def test_the_tutorial_draws_what_it_finds(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    script, clone = SCRIPT.read_text(), "Path.cwd(), *Path.cwd().parents"
    assert script.count(clone) == 1
    script = script.replace(clone, f"Path({str(SCRIPT.parents[1])!r}),")
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(script, SCRIPT.name, "exec"), {})
    finally:
        import matplotlib.pyplot as plt

        plt.close("all")
    assert (tmp_path / "hub_tutorial.png").stat().st_size > 100_000
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("astronaut.jpg: person", "chelsea.jpg: cat", "coffee.jpg: cup"))
