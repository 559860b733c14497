"""The learning half (needs torch): network, matching, loss, augmentation and the training loop."""
