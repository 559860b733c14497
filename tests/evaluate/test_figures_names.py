"""Class names are drawn as they are."""

import numpy as np
import pytest

from ssd300.evaluate.figures import confusion


@pytest.mark.parametrize("name", ["$_$", r"a$\x$", "5 $ or 6 $", "plain"])
def test_a_name_is_never_read_as_mathematics(name: str) -> None:
    assert f">{name}</text>" in confusion(np.eye(2, dtype=np.int64), (name,))
