import numpy as np
import pytest

from ssd300 import boxes

UNIT, HALF, THIN, POINT = [0.2, 0.2, 0.4, 0.6], [0.2, 0.2, 0.3, 0.6], [0.2, 0.2, 0.2, 0.6], [0.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([], [UNIT], np.zeros((0, 1))),
        ([UNIT], [], np.zeros((1, 0))),
        ([UNIT], [UNIT, HALF, THIN], [[1, 0.5, 0]]),
        ([HALF, POINT], [UNIT], [[0.5], [0]]),
        ([POINT, THIN], [POINT, THIN], [[0, 0], [0, 0]]),
        ([UNIT], [[0.4, 0.2, 0.6, 0.6], [0.5, 0.7, 0.9, 0.9], [0.3, 0.4, 0.5, 0.8]], [[0, 0, 1 / 7]]),
    ],
)
def test_iou(a, b, expected, scale) -> None:
    """In the unit frame and in pixels; boxes that touch, or have no area, share nothing."""
    first, second = (np.array(rows, np.float32).reshape(-1, 4) * np.float32(scale) for rows in (a, b))
    found = boxes.iou(first, second)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formats_there_and_back(dtype) -> None:
    xyxy = np.array([UNIT, THIN, [-3, 2, 5, 11]], dtype)
    assert boxes.xyxy_to_xywh(xyxy)[2].tolist() == [-3, 2, 8, 9]
    assert boxes.xyxy_to_cxcywh(xyxy)[2].tolist() == [1, 6.5, 8, 9]
    for there, back in (
        (boxes.xyxy_to_xywh, boxes.xywh_to_xyxy),
        (boxes.xyxy_to_cxcywh, boxes.cxcywh_to_xyxy),
    ):
        assert there(xyxy).dtype == dtype
        np.testing.assert_allclose(back(there(xyxy)), xyxy, atol=1e-6)


def test_area_and_clip() -> None:
    reaching = np.array([[-3, 2, 5, 11], [1, 1, 2, 4]], np.float32)
    assert boxes.area(reaching).tolist() == [72, 3]
    assert boxes.clip(reaching, 4, 6).tolist() == [[0, 2, 4, 6], [1, 1, 2, 4]]
