import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd300.data.fitting import CLIPPED, DEGENERATE, KEPT, NOT_FINITE, OUTSIDE, fit_boxes, fit_with_notes
from ssd300.data.notes import Note

WIDTH, HEIGHT = 100.0, 400.0  # the tolerance is 2 px across, 4 px down


def fit(box: list[float]) -> tuple[list[float], int]:
    fitted, verdicts = fit_boxes(np.array([box]), np.array([WIDTH]), np.array([HEIGHT]))
    return fitted[0].tolist(), int(verdicts[0])


def test_no_boxes() -> None:
    fitted, verdicts = fit_boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    assert fitted.shape == (0, 4)
    assert fitted.dtype == np.float32
    assert len(verdicts) == 0


@pytest.mark.parametrize(
    ("box", "verdict", "fitted"),
    [
        ([10, 20, 30, 40], KEPT, [10, 20, 30, 40]),
        ([0, 0, 100, 400], KEPT, [0, 0, 100, 400]),
        ([0, 0, 100.01, 400], KEPT, [0, 0, 100, 400]),  # rounding to two decimals
        ([-2, 20, 30, 40], CLIPPED, [0, 20, 30, 40]),
        ([10, 20, 30, 404], CLIPPED, [10, 20, 30, 400]),
        ([10, 20, 102.1, 40], OUTSIDE, None),
        ([10, -5, 30, 40], OUTSIDE, None),
        ([200, 20, 210, 40], OUTSIDE, None),
        ([30, 20, 30, 40], DEGENERATE, None),
        ([30, 20, 10, 40], DEGENERATE, None),
        ([-1.5, 20, -0.5, 40], DEGENERATE, None),  # nothing left within the picture
        ([float("nan"), 20, 30, 40], NOT_FINITE, None),
        ([10, 20, float("inf"), 40], NOT_FINITE, None),
    ],
)
def test_verdicts(box: list[float], verdict: int, fitted: list[float] | None) -> None:
    found, said = fit(box)
    assert said == verdict
    if fitted is not None:
        assert found == fitted


ACROSS, DOWN = (st.floats(-3, side + 3, width=32) for side in (WIDTH, HEIGHT))


@given(st.tuples(ACROSS, DOWN, ACROSS, DOWN))
def test_a_box_that_is_used_lies_inside_and_has_an_area(box: tuple[float, ...]) -> None:
    (left, top, right, bottom), verdict = fit(list(box))
    if verdict in (KEPT, CLIPPED):
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT


def test_every_case_is_noted_with_its_place() -> None:
    notes: list[Note] = []
    boxes = np.array([[10.0, 20, 30, 40], [-1, 20, 30, 40], [-9, 20, 30, 40]])
    places = [("f.json", "a.jpg", str(i)) for i in range(3)]
    _, used = fit_with_notes(boxes, np.tile([WIDTH, HEIGHT], (3, 1)), places, notes)
    assert used.tolist() == [True, True, False]
    assert [(note.annotation, note.action, note.kind) for note in notes] == [
        ("1", "clipped", "box over the edge"),
        ("2", "refused", "box outside"),
    ]
    assert str(notes[1]) == (
        "f.json, picture a.jpg, annotation 2: the box (-9, 20, 30, 40) reaches 9 px outside the picture of 100x400, "
        "more than 2 px or 1% of the side; left out"
    )
