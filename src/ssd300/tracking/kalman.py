"""A Kalman filter with constant velocity for many boxes at once, in seconds and pixels.

The state of a box is its center and size (x, y, w, h) and their velocities. The noise of each coordinate is
independent, so the 8x8 filter of the paper separates into four filters of position and velocity: plain array
arithmetic, without matrix products. The noise is that of ByteTrack (Zhang et al. 2022) with the width as scale for
x and w (Aharon et al. 2022), restated per second, so it does not depend on the frame rate or dropped frames.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from ssd300.arrays import Bool, Float64, Int64

_PAPER_RATE = 30.0  # frames per second for which the paper states its noise
_POSITION, _VELOCITY = 1 / 20, 1 / 160  # standard deviations per frame, as fractions of the box's size


@dataclass
class Motion:
    """N boxes in motion; every array is float64 [N, 4] in the order x, y (center), w, h."""

    position: Float64  # pixels
    velocity: Float64  # pixels per second
    position_variance: Float64
    covariance: Float64  # of position and velocity
    velocity_variance: Float64

    @classmethod
    def start(cls, boxes_cxcywh: Float64) -> "Motion":
        """New boxes: at rest, with a large variance of the velocity."""
        size = _size(boxes_cxcywh)
        return cls(
            boxes_cxcywh.astype(np.float64),
            np.zeros_like(size),
            (2 * _POSITION * size) ** 2,
            np.zeros_like(size),
            (10 * _VELOCITY * _PAPER_RATE * size) ** 2,
        )

    def predict(self, seconds: float, missed: Bool) -> None:
        """Predict the state after `seconds`. Boxes that were `missed` [N] keep their size."""
        size = _size(self.position)
        self.velocity[missed, 2:] = 0
        self.position = self.position + self.velocity * seconds
        self.position[:, 2:] = np.maximum(self.position[:, 2:], 1)
        frames = seconds * _PAPER_RATE
        self.position_variance = (
            self.position_variance
            + 2 * seconds * self.covariance
            + seconds**2 * self.velocity_variance
            + frames * (_POSITION * size) ** 2
        )
        self.covariance = self.covariance + seconds * self.velocity_variance
        self.velocity_variance = self.velocity_variance + frames * (_VELOCITY * _PAPER_RATE * size) ** 2

    def correct(self, rows: Int64, measured_cxcywh: Float64) -> None:
        """Correct the state with the measured boxes [len(rows), 4]."""
        noise = (_POSITION * _size(self.position[rows])) ** 2
        error = measured_cxcywh - self.position[rows]
        total = self.position_variance[rows] + noise
        position_gain, velocity_gain = self.position_variance[rows] / total, self.covariance[rows] / total
        self.position[rows] += position_gain * error
        self.velocity[rows] += velocity_gain * error
        self.velocity_variance[rows] -= velocity_gain * self.covariance[rows]
        self.covariance[rows] *= 1 - position_gain
        self.position_variance[rows] *= 1 - position_gain

    def select(self, which: Bool) -> Self:
        """The boxes where `which` [N] is true."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    def append(self, other: Self) -> Self:
        """These boxes, then the other ones."""
        both = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return type(self)(*(np.concatenate(pair) for pair in both))


def _size(boxes_cxcywh: Float64) -> Float64:
    """The box's width for x and w, its height for y and h: float64 [N, 4], at least one pixel."""
    return np.asarray(np.maximum(boxes_cxcywh[:, [2, 3, 2, 3]], 1), np.float64)
