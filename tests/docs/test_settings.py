"""docs/training.md lists every training setting with its values."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_settings_is_up_to_date():
    spec = importlib.util.spec_from_file_location("settings", DOCS / "settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    text = (DOCS / "training.md").read_text()
    assert settings.with_table(text) == text, "run `python docs/settings.py`"
