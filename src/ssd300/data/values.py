"""Parse values as annotation tools write them: whole numbers as text or floats, flags, and class names."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from ssd300.limits import CLASS_NAME
from ssd300.terminal import is_harmless

LARGEST = 2**63  # of an integer that numpy holds


def whole(value: Any) -> int | None:
    """The whole number that a value represents, or None.

    >>> whole(3), whole("3"), whole(3.0), whole("3.0"), whole(3.5), whole(True), whole("x")
    (3, 3, 3, 3, None, None, None)
    """
    if type(value) is int and -LARGEST < value < LARGEST:
        return value
    if isinstance(value, str) and len(value) < 40 and "_" not in value:  # Python reads "1_0" as 10
        try:
            value = int(value)
        except ValueError:
            value = number(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) < LARGEST else None


def number(value: Any) -> float | None:
    """A finite or infinite number, also from text; None for anything else."""
    if isinstance(value, float):
        return value
    if isinstance(value, str) and len(value) < 400 and "_" not in value:
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if type(value) is int and abs(value) < LARGEST else None


def numbers(values: Iterable[Any]) -> list[float] | None:
    """All values as numbers; None if one is not a number.

    >>> numbers(["1", 2]), numbers([1, None])
    ([1.0, 2.0], None)
    """
    found = [number(value) for value in values]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def flag(value: Any) -> bool | None:
    """True or False for 1, 0, "1", 0.0, True, ...; False for None or empty; None for anything else, also words.

    >>> flag(None), flag("0"), flag(1.0), flag("false"), flag(2)
    (False, False, True, None, None)
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    found = whole(value)
    return bool(found) if found in (0, 1) else None


def class_name(value: Any) -> str | None:
    """A class name: stripped text, or a whole number as text; None for anything else.

    >>> class_name(" disc "), class_name(7), class_name("")
    ('disc', '7', None)
    """
    if type(value) is int and abs(value) < LARGEST:
        return str(value)
    name = value.strip() if isinstance(value, str) else ""
    return name if 0 < len(name) <= CLASS_NAME else None


def similar_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in letter case, spaces, hyphens, underscores and composed accents only.

    >>> similar_names(["cat", "dog", "Cat", "traffic-light", "Traffic light"])
    [('cat', 'Cat'), ('traffic-light', 'Traffic light')]
    """
    first: dict[str, str] = {}
    found = []
    for name in names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        other = first.setdefault("".join(re.split(r"[\s_-]+", plain)), name)
        found += [(other, name)] if other != name else []
    return found


def is_writable_name(name: str) -> bool:
    """Whether every format can hold a class name: no control characters, line separators or lone surrogates.

    >>> is_writable_name("traffic light"), is_writable_name("traffic\\x85light")
    (True, False)
    """
    return name == name.strip() != "" and all(map(is_harmless, name))
