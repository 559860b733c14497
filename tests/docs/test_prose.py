"""Plain English: phrases that readers stumbled over stay out of documents, docstrings, comments and messages.

`make check` holds the spelling, American throughout; this is about what a list of words cannot say.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name != "cli.md"),  # written from src
    *sorted((ROOT / "notebooks").glob("*.py")),
    *sorted((ROOT / "src").rglob("*.py")),
]
PHRASES = (  # a regular expression, and what to write instead
    (r"\bso (many|much|long)\b(?! (as|that)\b)", "the number, or what is counted"),
    (r"\bunsaid\b", "not reported"),
    (r"\bhungry\b", "fast, or waits for input"),
    (r"\bheard at once\b|\bobeyed\b", "takes effect"),
    (r"\bleans (high|low)\b", "is biased upwards, downwards"),
    (r"\bmade ones\b", "generated pictures"),
    (r"\bof every draw\b", "of every random choice"),
    (r"\bis no \w+ either\b", "is not, too"),
    (r"\bnought\b|\bwhilst\b|\bthereof\b|\bwherein\b", "a plain word"),
)


@pytest.mark.parametrize(("phrase", "instead"), PHRASES)
def test_a_phrase_is_not_used(phrase, instead) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r}; write {instead}"
        for path in TEXTS
        for match in re.finditer(phrase, path.read_text(encoding="utf-8"), re.I)
    ]
    assert not found
