import numpy as np

from ssd300.tracking.kalman import Motion

NONE = np.zeros(0, bool)


def dense_filter(boxes: list[np.ndarray], seconds: float) -> np.ndarray:
    """The textbook filter with 8x8 matrices for one box; positions after each box."""
    frames = seconds * 30
    size = np.maximum(boxes[0][[2, 3, 2, 3]], 1)
    mean = np.concatenate([boxes[0], np.zeros(4)])
    spread = np.diag(np.concatenate([(size / 10) ** 2, (size * 30 / 16) ** 2]))
    move = np.eye(8) + seconds * np.eye(8, k=4)
    look = np.eye(4, 8)
    positions = [mean[:4]]
    for box in boxes[1:]:
        size = np.maximum(mean[[2, 3, 2, 3]], 1)
        mean = move @ mean
        spread = move @ spread @ move.T
        spread += frames * np.diag(np.concatenate([(size / 20) ** 2, (size * 30 / 160) ** 2]))
        noise = np.diag((np.maximum(mean[[2, 3, 2, 3]], 1) / 20) ** 2)
        gain = spread @ look.T @ np.linalg.inv(look @ spread @ look.T + noise)
        mean = mean + gain @ (box - look @ mean)
        spread = (np.eye(8) - gain @ look) @ spread
        positions.append(mean[:4])
    return np.array(positions)


def test_no_boxes() -> None:
    motion = Motion.start(np.zeros((0, 4)))
    motion.predict(1.0, NONE)
    motion.correct(np.zeros(0, np.int64), np.zeros((0, 4)))
    assert motion.position.shape == (0, 4)


def test_it_is_the_textbook_filter() -> None:
    draw = np.random.default_rng(3)
    for seconds in (1 / 30, 0.1, 1.0):
        boxes = [np.array([100, 200, 40, 90.0]) + 5 * i + draw.normal(0, 2, 4) for i in range(30)]
        motion = Motion.start(boxes[0][None])
        positions = [motion.position[0].copy()]
        for box in boxes[1:]:
            motion.predict(seconds, np.zeros(1, bool))
            motion.correct(np.array([0]), box[None])
            positions.append(motion.position[0].copy())
        np.testing.assert_allclose(positions, dense_filter(boxes, seconds), rtol=1e-9)


def test_a_lost_box_moves_on_and_keeps_its_size() -> None:
    motion = Motion.start(np.array([[100.0, 100, 40, 80]]))
    for i in range(1, 20):
        motion.predict(0.1, np.zeros(1, bool))
        motion.correct(np.array([0]), np.array([[100 + 10.0 * i, 100, 40 + i, 80]]))
    size = motion.position[0, 2:].copy()
    start = motion.position[0, 0]
    for _ in range(5):
        motion.predict(0.1, np.ones(1, bool))
    assert abs(motion.position[0, 0] - start - 50) < 5
    np.testing.assert_array_equal(motion.position[0, 2:], size)
