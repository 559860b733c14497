"""The two losses, with one signature: locs [B, 4, P], logits [B, K, P], truths, picture size -> (box, class) loss.

`multibox` is the published one, `aligned` that of the modern recipe. Each processes the whole batch at once, without
synchronizing with the device.
"""

from ssd300.learn.losses.aligned import aligned_loss
from ssd300.learn.losses.multibox import multibox_loss
from ssd300.learn.losses.truths import Truths

LOSSES = {"multibox": multibox_loss, "aligned": aligned_loss}

__all__ = ["LOSSES", "Truths", "aligned_loss", "multibox_loss"]
