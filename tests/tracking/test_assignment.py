import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ssd300.tracking.assignment import assign


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape) -> None:
    rows, columns = assign(np.zeros(shape))
    assert (rows.dtype, columns.dtype, len(rows), len(columns)) == (np.int64, np.int64, 0, 0)


def test_zero_and_negative_gains_make_no_pair() -> None:
    rows, columns = assign(np.array([[0.0, -1.0], [-2.0, 0.5]]))
    assert (rows.tolist(), columns.tolist()) == ([1], [1])


@pytest.mark.parametrize("seed", range(60))
def test_the_sum_is_that_of_scipy(seed) -> None:
    draw = np.random.default_rng(seed)
    shape = draw.integers(1, 25, 2)
    gains = np.where(draw.random(shape) < draw.choice([0.1, 0.3, 1.0]), draw.uniform(-0.5, 1, shape), 0)
    rows, columns = assign(gains)
    positive = np.maximum(gains, 0)
    best = positive[linear_sum_assignment(-positive)].sum()
    assert gains[rows, columns].sum() == pytest.approx(best, abs=1e-12)
    assert (gains[rows, columns] > 0).all()
    assert len(set(rows)) == len(set(columns)) == len(rows)
    assert (np.diff(rows) > 0).all()
