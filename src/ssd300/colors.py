"""A color per class: never one for two classes of a picture, and distinguishable with every kind of color blindness."""

import zlib
from collections.abc import Sequence

Color = tuple[int, int, int]

# Okabe and Ito's colors without black, and Tol's wine: distinguishable with all three kinds of color blindness.
PALETTE: tuple[Color, ...] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (136, 34, 85),  # wine
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def choose_colors(keys: Sequence[int | str]) -> list[Color]:
    """The colors for the keys of one picture. Equal keys get equal colors, different keys different colors.

    A key gets its own color, that of `color_of`, unless a smaller key of the picture uses it; then it gets the next
    free one. When the palette is used up, darker and lighter shades of it follow.
    """
    free = [*PALETTE, *(_shade(color, 0.62) for color in PALETTE), *(_shade(color, 1.35) for color in PALETTE)]
    chosen: dict[int | str, Color] = {}
    for key in sorted(set(keys), key=lambda key: (isinstance(key, str), key)):
        own = color_of(key)
        if own not in free:
            start = PALETTE.index(own) if len(free) > 2 * len(PALETTE) else 0
            own = next((c for c in (*PALETTE[start:], *PALETTE) if c in free), free[0] if free else _random_color(key))
        if own in free:
            free.remove(own)
        chosen[key] = own
    return [chosen[key] for key in keys]


def _shade(color: Color, factor: float) -> Color:
    """The color darker (factor below 1), or lighter."""
    red, green, blue = (round(v * factor) if factor < 1 else round(255 - (255 - v) / factor / 1.3) for v in color)
    return red, green, blue


def _random_color(key: int | str) -> Color:
    number = zlib.crc32(f"color {key}".encode())
    return number & 255, number >> 8 & 255, number >> 16 & 255


def color_of(key: int | str) -> Color:
    """The color of a class id or name: the same in every picture and every run."""
    number = zlib.crc32(key.encode()) if isinstance(key, str) else int(key)
    return PALETTE[number % len(PALETTE)]


def choose_ink(color: Color) -> Color:
    """Black or white, whichever contrasts more with the color (WCAG relative luminance)."""
    light = luminance(color)
    return BLACK if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else WHITE


def luminance(color: Color) -> float:
    """Relative luminance 0..1 of an sRGB color, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
