"""Make untrusted text (file names, class names, network responses) safe for a terminal, and leave one that closed."""

import json
import os
import re
import shlex
import stat
import unicodedata
from contextlib import suppress
from typing import TextIO


def printable(text: str) -> str:
    r"""The text with unprintable characters (escape sequences, line breaks) escaped.

    >>> print(printable("a\x1b[2Jb\nc"))
    a\x1b[2Jb\nc
    """
    return "".join(c if is_harmless(c) else c.encode("unicode_escape").decode() for c in text)


def is_harmless(letter: str) -> bool:
    r"""Whether a character only shows: printable, or what Python does not call so: another space, a joiner.

    Names in Japanese have wide spaces, those in Persian and Hindi joiners.

    >>> is_harmless("\u3000"), is_harmless("\u200c"), is_harmless("\u202e")
    (True, True, False)
    """
    return letter.isprintable() or unicodedata.category(letter) == "Zs" or letter in "\u200c\u200d"


def as_argument(path: str | os.PathLike[str]) -> str:
    """A path as a shell takes it for one argument, in a command that a message names.

    >>> as_argument("my sets/a.json"), as_argument("sets/a.json")
    ("'my sets/a.json'", 'sets/a.json')
    """
    text = os.fspath(path)
    return shlex.quote(text) if os.name != "nt" else text if re.fullmatch(r"[\w./:\\-]+", text) else f'"{text}"'


def as_shown(text: str, stream: TextIO) -> str:
    r"""Rows of JSON or CSV as `stream` gets them: as they are in a file or pipe; on a terminal nothing in them acts.

    What is not printable becomes an escape that JSON reads back; line breaks stay.

    >>> import io
    >>> class Terminal(io.StringIO):
    ...     isatty = lambda self: True
    >>> print(as_shown('["a\x9b2J"]', Terminal()))
    ["a\u009b2J"]
    """
    if not stream.isatty():
        return text
    return "".join(c if is_harmless(c) or c == "\n" else json.dumps(c)[1:-1] for c in text)


def obeys_escapes(stream: TextIO) -> bool:
    """Whether a stream is a terminal that erases lines and shows bold text when told to, not one that prints all."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def escape_for_json(error: UnicodeError) -> tuple[str, int]:
    r"""An error handler for `codecs.register_error` that writes characters missing in an encoding as JSON escapes.

    >>> import codecs
    >>> codecs.register_error("json", escape_for_json)
    >>> print("ü 😀".encode("ascii", "json").decode())
    \u00fc \ud83d\ude00
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def leave_closed_terminal() -> None:
    """Send stdout and stderr to the null device where they are a terminal that has closed: a write would be an error.

    So what is to be done at the end, such as completing files, is done.
    """
    for number in (1, 2):
        with suppress(OSError):  # not open
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                with open(os.devnull, "wb") as nothing:
                    os.dup2(nothing.fileno(), number)
