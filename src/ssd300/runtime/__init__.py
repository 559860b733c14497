"""Runtimes: each turns uint8 pictures into boxes and probabilities. `base.py` is the seam."""
