"""Class names are drawn as they are, and the counts can be read."""

import re

import numpy as np
import pytest

from ssd300.colors import luminance
from ssd300.evaluate import page
from ssd300.evaluate.coco import coco_metrics
from ssd300.evaluate.figures import confusion, precision_recall
from ssd300.labels import ClassList


@pytest.mark.parametrize("name", ["$_$", r"a$\x$", "5 $ or 6 $", "plain", "_plain", "人 🙂"])
def test_a_name_is_drawn_as_it_is_without_a_warning(name: str, make) -> None:
    assert f">{name}</text>" in confusion(np.eye(2, dtype=np.int64), (name,))
    truth = make.annotations([[10, 10, 60, 60]], [1])
    data = make.dataset([make.picture(1, truth)], ClassList.from_names([name]))
    assert f">{name}</text>" in precision_recall(coco_metrics(data, [make.result([[10, 10, 60, 60]], [0.5], [1])]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_counts_can_be_read_on_the_darkest_cell(scheme) -> None:
    """4.5 is WCAG's bar for text."""
    style = page._STYLE.split("prefers-color-scheme: dark")[scheme == "dark"]
    ink, paper = (bytes.fromhex(re.search(f"--{name}: #([0-9a-f]{{6}})", style)[1]) for name in ("ink", "paper"))
    fill = re.search("fill: #([0-9a-f]{6}); fill-opacity: ([0-9.]+)", confusion(np.eye(2, dtype=np.int64), ("a",)))
    shown = [float(fill[2]) * a + (1 - float(fill[2])) * b for a, b in zip(bytes.fromhex(fill[1]), paper, strict=True)]
    low, high = sorted(map(luminance, (tuple(ink), tuple(shown))))
    assert (high + 0.05) / (low + 0.05) >= 4.5
