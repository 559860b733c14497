"""Text from outside (file names, class names, network answers) made safe for a terminal."""


def printable(text: str) -> str:
    r"""The text with every character that is not printable (escape sequences, line breaks) as its escape.

    >>> print(printable("a\x1b[2Jb\nc"))
    a\x1b[2Jb\nc
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
