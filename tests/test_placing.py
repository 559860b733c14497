import numpy as np
import pytest

from ssd300.boxes import iou
from ssd300.placing import _positions as positions_of
from ssd300.placing import place_label


def place_plainly(box, label, size, placed, small):
    """The rule without its shortcuts: every position is compared with all labels and small boxes."""
    spots = np.array(list(positions_of(box.tolist(), label, size)), np.float32)
    crowded, hiding = iou(spots, placed).sum(1), iou(spots[:8], small).sum(1)
    clear, free = np.flatnonzero((crowded[:8] == 0) & (hiding == 0)), np.flatnonzero(crowded == 0)
    choice = clear[0] if len(clear) else free[0] if len(free) else int(crowded.argmin())
    return None if crowded[choice] > 0.04 else tuple(spots[choice].astype(int).tolist())


@pytest.mark.parametrize("size", [(640, 480), (2000, 1500)])
def test_shortcuts_change_no_place(size) -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 0.9, (300, 2)) * size
    boxes = np.concatenate([low, low + rng.uniform(0.01, 0.2, (300, 2)) * size], 1).astype(np.float32)
    small, placed, left_out = boxes[::7], np.empty((0, 4), np.float32), 0
    for box in boxes:
        label = int(rng.integers(30, 120)), 20
        place = place_label(box, label, size, placed, small)
        assert place == place_plainly(box, label, size, placed, small)
        left_out += place is None
        if place:
            placed = np.concatenate([placed, np.array([place], np.float32)])
    assert len(placed) > 50
    assert left_out or size[0] > 640
