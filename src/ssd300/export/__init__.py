"""Model files for others, and INT8 for ourselves; each verified against the original before it is moved into place."""
