"""`python -m ssd300`: the command, for where the `ssd300` script is not on the PATH."""

from ssd300.cli.main import run

run()
