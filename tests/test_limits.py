"""SECURITY.md's table of limits is that of the code, and the tests that it names are there."""

import re
from pathlib import Path

import pytest

from ssd300 import limits

ROOT = Path(__file__).parents[1]
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "s": 1, "h": 3600}
ROW = re.compile(r"\| *[\w .]* *\| (?P<what>[^|]+) \| (?P<number>[\d,^]+) ?(?P<unit>\w*) \| `(?P<name>[A-Z_]+)` \|")


def value(number: str, unit: str) -> float:
    base, _, power = number.replace(",", "").partition("^")
    return int(base) ** int(power or 1) * UNITS[unit]


def table() -> dict[str, float]:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [row for row in map(ROW.fullmatch, text.splitlines()) if row]
    named = {row["name"]: value(row["number"], row["unit"]) for row in rows}
    assert len(named) == len(rows), "a name stands twice"
    return named


@pytest.mark.parametrize(("number", "unit", "expected"), [("8", "", 8), ("2^4", "KiB", 2**14), ("1,000", "h", 3.6e6)])
def test_how_a_row_is_read(number, unit, expected):
    assert value(number, unit) == expected


def test_the_table_is_the_code():
    code = {name: number for name, number in vars(limits).items() if name.isupper()}
    assert len(code) > 40
    assert table() == code


def test_every_limit_is_used():
    texts = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py") if path.name != "limits.py"]
    unused = [name for name in table() if not any(re.search(rf"\b{name}\b", text) for text in texts)]
    assert unused == []


def test_the_tests_that_hold_a_promise_are_there():
    rows = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if "tests/" in line]
    assert len(rows) > 8
    for row in rows:
        folder = ""
        for name in re.findall(r"`([\w/.*]+)`", row.split("|")[-2]):
            folder = name[: name.rindex("/")] if "/" in name else folder
            assert list(ROOT.glob(name if "/" in name else f"{folder}/{name}")), name
