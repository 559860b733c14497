"""Class names are drawn as they are."""

import numpy as np
import pytest

from ssd300.evaluate.figures import confusion


@pytest.mark.parametrize("name", ["$_$", r"a$\x$", "5 $ or 6 $", "plain", "人 🙂"])
def test_a_name_is_drawn_as_it_is_without_a_warning(name: str) -> None:
    assert f">{name}</text>" in confusion(np.eye(2, dtype=np.int64), (name,))
