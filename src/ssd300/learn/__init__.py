"""Training (needs torch): network, matching, losses, augmentation and the training loop."""
