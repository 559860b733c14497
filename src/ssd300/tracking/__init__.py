"""Following objects from frame to frame, counting them at lines and in zones, and measuring how well that works."""
