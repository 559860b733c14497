"""Hooks for PyInstaller, which finds them by the entry point `pyinstaller40`: `pyinstaller app.py` needs no options."""

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Where the hooks lie: no package, because only PyInstaller can import them."""
    return [str(Path(__file__).parent / "hooks")]
