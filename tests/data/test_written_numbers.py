"""Numbers in label files read back to the same float32."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ssd300.data.yolo.write import to_fractions, to_pixels
from ssd300.formats import shortest

corners = arrays.arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(corners, st.integers(1, 9000), st.integers(1, 9000))
def test_fractions_read_back_to_the_same_float32(units: Any, width: int, height: int) -> None:
    boxes = np.sort(units.reshape(5, 2, 2), axis=1).reshape(5, 4) * np.array([width, height] * 2, np.float32)
    boxes = boxes.astype(np.float32)
    back = np.clip(to_pixels(to_fractions(boxes, width, height), width, height), 0, [width, height] * 2)
    # Next to an edge a float32 can be finer than double precision is for the center: there 1e-12 px is the limit.
    assert np.all((back.astype(np.float32) == boxes) | (np.abs(back - boxes) < 1e-12))


@given(arrays.arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32)))
def test_shortest_numbers_read_back_to_the_same_float32(values: Any) -> None:
    assert np.array_equal(np.array(shortest(values), np.float64).astype(np.float32), values)
