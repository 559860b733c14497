"""The file extensions of pictures: the one list, for folders of pictures and for data sets alike."""

from pathlib import PurePath

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff",
)  # fmt: skip


def has_picture_extension(path: str | PurePath) -> bool:
    """Whether the name ends as a picture's does, in any letter case.

    >>> has_picture_extension("cat.JPG"), has_picture_extension("cat.txt")
    (True, False)
    """
    return str(path).lower().endswith(EXTENSIONS)
