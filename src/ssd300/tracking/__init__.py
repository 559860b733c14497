"""Track objects from frame to frame, count them at lines and in zones, and score tracks against ground truth."""
