"""Choose the font of a caption: the given one, the package's own, or one of the system's that has the characters."""

import os
import sys
import unicodedata
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ssd300.errors import ArgumentError

if TYPE_CHECKING:
    from PIL import ImageFont

OWN = Path(__file__).parent / "fonts" / "ssd300-label-sans.ttf"
_MOST_FONTS = 2000  # of a system that are examined
_FIRST = ("notosanscjk", "notosans", "dejavusans", "arialuni", "msyh", "malgun", "meiryo", "pingfang", "droidsans")
_NOWHERE = "\U0010fffe"  # not a character: every font draws its glyph for missing characters
_PROBE = 16  # pixels, for finding out whether a font has a glyph


class MissingLetters(UserWarning):
    """No font was found for some characters of a caption: they are drawn as empty squares."""


def font_for(text: str, letters: int, given: Path | None = None) -> "ImageFont.FreeTypeFont":
    """The font for a text at a size of `letters` pixels. Warns once about characters that no font has.

    `given` is tried first, then the package's own, then the system's. Raises ArgumentError if `given` is not a font.
    """
    return _load(_choose(_visible(text), given), letters)


def missing_letters(texts: Iterable[str], given: Path | None = None) -> str:
    """The characters of these texts that no font has, sorted."""
    missing: set[str] = set()
    for text in texts:
        wanted = _visible(text)
        missing |= wanted - _glyphs(_best(wanted, given), wanted)
    return "".join(sorted(missing))


def without_unseen(text: str, font: "ImageFont.FreeTypeFont") -> str:
    """The text for this font. Without shaping, as by the package's own, characters without a picture become squares."""
    from PIL import ImageFont

    return text if font.layout_engine == ImageFont.Layout.RAQM else "".join(filter(_is_seen, text))


def _visible(text: str) -> frozenset[str]:
    return frozenset(c for c in text if not c.isspace() and _is_seen(c))


def _is_seen(letter: str) -> bool:
    """Not so control characters, marks of direction, joiners, and variation selectors, as in emoji."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs") and not "\ufe00" <= letter <= "\ufe0f"


@lru_cache(maxsize=4096)
def _choose(wanted: frozenset[str], given: Path | None) -> Path:
    path = _best(wanted, given)
    if missing := wanted - _glyphs(path, wanted):
        _warn(frozenset(missing))
    return path


@cache
def _warn(missing: frozenset[str]) -> None:
    warnings.warn(
        f"no font was found for {''.join(sorted(missing))[:40]!r}, drawn as empty squares: install one that has them, "
        "or give its file where there is font= or --font",
        MissingLetters,
        stacklevel=2,
    )


@lru_cache(maxsize=4096)
def _best(wanted: frozenset[str], given: Path | None) -> Path:
    """The first font that has all of the characters, or the one that has most of them."""
    best, most = given or OWN, -1
    for path in (*([given] if given else []), OWN):
        if len(found := _glyphs(path, wanted)) > most:
            best, most = path, len(found)
        if most == len(wanted):
            return best
    for path in _system_fonts():
        try:
            found = _glyphs(path, wanted)
        except ArgumentError:  # a bitmap font, or a damaged one
            continue
        if len(found) > most:
            best, most = path, len(found)
        if most == len(wanted):
            break
    return best


def _glyphs(path: Path, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the characters that a font has."""
    font = _load(path, _PROBE)
    empty = _picture(font, _NOWHERE)
    return frozenset(c for c in wanted if _picture(font, c) != empty)


def _picture(font: "ImageFont.FreeTypeFont", text: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _load(path: Path, letters: int) -> "ImageFont.FreeTypeFont":
    """Load with Raqm if Pillow has it: Arabic, Thai and the scripts of India need its shaping."""
    from PIL import ImageFont, features  # here, for a faster start where nothing is drawn

    if path.exists() and not path.is_file():  # opening a pipe waits for ever
        raise ArgumentError(f"{path}: cannot be used as a font (not a regular file); give a .ttf, .otf or .ttc file")
    raqm = path != OWN and features.check("raqm")
    engine = ImageFont.Layout.RAQM if raqm else ImageFont.Layout.BASIC
    try:
        return ImageFont.truetype(path, letters, layout_engine=engine)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path}: cannot be used as a font ({error}); give a .ttf, .otf or .ttc file") from error


@cache
def _system_fonts() -> tuple[Path, ...]:
    """Font files of this system and user, those with many characters first."""
    if sys.platform == "win32":
        own, folders = ["AppData/Local/Microsoft/Windows/Fonts"], [os.environ.get("WINDIR", r"C:\Windows") + r"\Fonts"]
    elif sys.platform == "darwin":
        own, folders = ["Library/Fonts"], ["/System/Library/Fonts", "/Library/Fonts"]
    else:
        own, folders = [".local/share/fonts", ".fonts"], ["/usr/share/fonts", "/usr/local/share/fonts"]
    with suppress(RuntimeError):  # a user without a home folder
        folders += [str(Path.home() / place) for place in own]
    found = [
        Path(folder, name)
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc"))
    ]

    def rank(path: Path) -> tuple[int, int, str]:
        name = path.name.lower().replace("-", "").replace("_", "")
        known = next((place for place, start in enumerate(_FIRST) if name.startswith(start)), len(_FIRST))
        return known, len(name), str(path)

    return tuple(sorted(found, key=rank)[:_MOST_FONTS])
