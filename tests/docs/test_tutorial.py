"""The hub tutorial runs from start to end, and its notebook is the same text."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def seeded_state(shapes):
    """Weights that keep activations in range; num_batches_tracked zero, variances one."""
    rng = np.random.default_rng(5)
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = np.zeros(shape, np.int64)
        elif len(shape) == 4:
            state[key] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        else:
            ones = key.endswith(("running_var", ".weight"))
            state[key] = np.full(shape, 1.0 if ones else 0.0, np.float32)
    # Background rarely wins, so that there is something to pick and to draw.
    for bias in (key for key in state if key.startswith("conf.") and key.endswith("bias")):
        state[bias][:] = np.linspace(0, 6, len(state[bias]))
    return state


def test_the_tutorial_draws_what_it_finds(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    matplotlib = pytest.importorskip("matplotlib")
    from ssd300.architecture import architecture
    from ssd300.labels import COCO
    from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint

    matplotlib.use("Agg")
    file = tmp_path / "seeded.safetensors"
    write_checkpoint(file, seeded_state(architecture("resnet18", 81).state_shapes()), ModelMetadata("resnet18", COCO))
    script = (EXAMPLES / "hub_tutorial.py").read_text()
    for line, replacement in (
        ('BACKBONE = "resnet50"\n', 'BACKBONE = "resnet18"\n'),
        ("CHECKPOINT = None", f"CHECKPOINT = {str(file)!r}"),
        ("Path.cwd(), *Path.cwd().parents", f"Path({str(EXAMPLES.parent)!r}),"),
    ):
        assert script.count(line) == 1
        script = script.replace(line, replacement)
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(script, "hub_tutorial.py", "exec"), {})
    finally:
        import matplotlib.pyplot as plt

        plt.close("all")
    assert (tmp_path / "hub_tutorial.png").stat().st_size > 100_000
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("astronaut.jpg: ", "chelsea.jpg: ", "coffee.jpg: "))


def test_the_notebook_is_the_script():
    pytest.importorskip("nbformat")
    spec = importlib.util.spec_from_file_location("to_notebook", EXAMPLES / "to_notebook.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = module.notebook_of(module.SCRIPT.read_text())
    assert module.NOTEBOOK.read_text() == expected, "run: python examples/to_notebook.py"
