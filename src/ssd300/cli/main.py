"""The command line: one file per verb. At its top a verb's file imports only typer and the errors."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def run() -> None:
    """Entry point of the `ssd300` command."""
    app()
