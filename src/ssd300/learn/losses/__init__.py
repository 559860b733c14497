"""The two losses behind one call: locs [B, 4, P], logits [B, K, P], truths and the pictures' size -> (box, class) loss.

`multibox` is the published one, `aligned` that of the modern recipe. Each works on the whole batch at once and never
waits for the device.
"""

from ssd300.learn.losses.aligned import aligned_loss
from ssd300.learn.losses.multibox import multibox_loss
from ssd300.learn.losses.truths import Truths

LOSSES = {"multibox": multibox_loss, "aligned": aligned_loss}

__all__ = ["LOSSES", "Truths", "aligned_loss", "multibox_loss"]
