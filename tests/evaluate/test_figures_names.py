"""Class names are drawn as they are."""

import numpy as np
import pytest

from ssd300.evaluate.coco import coco_metrics
from ssd300.evaluate.figures import confusion, precision_recall
from ssd300.labels import ClassList


@pytest.mark.parametrize("name", ["$_$", r"a$\x$", "5 $ or 6 $", "plain", "_plain", "人 🙂"])
def test_a_name_is_drawn_as_it_is_without_a_warning(name: str, make) -> None:
    assert f">{name}</text>" in confusion(np.eye(2, dtype=np.int64), (name,))
    truth = make.annotations([[10, 10, 60, 60]], [1])
    data = make.dataset([make.picture(1, truth)], ClassList.from_names([name]))
    assert f">{name}</text>" in precision_recall(coco_metrics(data, [make.result([[10, 10, 60, 60]], [0.5], [1])]))
