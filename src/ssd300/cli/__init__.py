"""The `ssd300` command: one file per verb."""
