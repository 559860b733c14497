"""Numbers from outside: in text, of NumPy, at the end of names, and switches in the environment."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Generic, TypeVar

Name = TypeVar("Name", bound=int | str)

_MOST_DIGITS = 18  # fits 64 bits; int() itself raises ValueError from 4,301 digits on


def whole_number(text: str) -> int | None:
    """The number that ASCII digits spell, at most 18 of them; None for any other text.

    int() also takes signs, spaces, underscores and the digits of other scripts.

    >>> whole_number(""), whole_number("007"), whole_number("-1"), whole_number("٣"), whole_number("9" * 19)
    (None, 7, None, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def is_set(variable: str) -> bool:
    """Whether a variable of the environment is there and says anything but no."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")


def counted(number: int, noun: str) -> str:
    """A number and the noun it counts.

    >>> counted(1, "picture"), counted(0, "picture")
    ('1 picture', '0 pictures')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def numbered(name: Name, first: int = 1) -> Iterator[Name | str]:
    """The name, then with -2, -3, ... appended; from the one with number `first` on.

    >>> names = numbered("cat")
    >>> next(names), next(names)
    ('cat', 'cat-2')
    """
    return (name if number == 1 else f"{name}-{number}" for number in count(first))


class Distinct(Generic[Name]):
    """Call it with names: each comes back as it is, or, if it was given before, as the first free of `numbered`.

    Names with one `key` are the same. It takes as long for the thousandth of a name as for the second.

    >>> distinct = Distinct(str.lower)
    >>> distinct("cat"), distinct("cat-2"), distinct("Cat"), distinct("cat")
    ('cat', 'cat-2', 'Cat-3', 'cat-4')
    """

    def __init__(self, key: Callable[[Any], Any] = lambda name: name) -> None:
        self._key = key
        self._taken: set[Any] = set()
        self._next: dict[Any, int] = {}  # the number to try first

    def __call__(self, name: Name) -> Name | str:
        key = self._key(name)
        first = self._next.get(key, 1)
        tried = enumerate(numbered(name, first), first + 1)
        self._next[key], found = next((after, one) for after, one in tried if self._key(one) not in self._taken)
        self._taken.add(self._key(found))
        return found


def as_plain(value: object) -> Any:
    """The numbers and arrays of NumPy as Python's, which JSON and torch's files hold; a list or range as a tuple.

    >>> import numpy
    >>> as_plain(numpy.float64(0.5)), as_plain([numpy.int64(3), 4])
    (0.5, (3, 4))
    """
    to_list = getattr(value, "tolist", None)  # asked for by its name: the command line's help loads no NumPy
    value = value if to_list is None else to_list()
    return tuple(map(as_plain, value)) if isinstance(value, tuple | list | range) else value
