"""What all writers of data sets use: copies or links of pictures, new files, numbers with few digits."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssd300.arrays import Float64
from ssd300.data.dataset import Picture
from ssd300.errors import DatasetError
from ssd300.images.signatures import describe_bytes, picture_format

FIRST_BYTES = 4096


@dataclass
class Copier:
    """Call it with a picture and its new path, whose folder it creates. Other files are refused.

    Pictures must be in one of the folders `inside`, after following links; empty means anywhere.
    """

    link: bool
    progress: Callable[[int], None]
    inside: tuple[Path, ...] = ()
    done: int = 0

    def __call__(self, picture: Picture, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if picture.payload is not None:
                Image.fromarray(picture.read()).save(path)
            else:
                self._check(picture)
                if self.link:
                    os.link(picture.path, path)
                else:
                    shutil.copyfile(picture.path, path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise  # whoever makes the folder says it of the whole
            verb = "linked" if self.link else "copied"
            raise DatasetError(f"{picture.path}: cannot be {verb} to {path}: {error.strerror or error}") from error
        self.done += 1
        self.progress(self.done)

    def _check(self, picture: Picture) -> None:
        """Raises DatasetError for a file in another folder, or one that is not a picture."""
        real = picture.path.resolve()
        if self.inside and not any(real.is_relative_to(folder) for folder in self.inside):
            folders = ", ".join(map(str, self.inside))
            raise DatasetError(
                f"{picture.labels or 'the data set'} names {picture.path}, which lies outside the data folder "
                f"({folders}); if that is meant, pass --allow-outside"
            )
        if not picture.path.is_file():
            raise DatasetError(f"{picture.path}: cannot be copied: it is missing or not a regular file")
        with picture.path.open("rb") as file:
            first = file.read(FIRST_BYTES)
        if picture_format(first) is None:
            raise DatasetError(f"{picture.path}: not copied: it is {describe_bytes(first)}")


def new_files(paths: Sequence[Path]) -> list[Path]:
    """The paths, none of which exist. Raises DatasetError if one does."""
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there:
        exist = "exists" if len(there) == 1 else "exist"
        raise DatasetError(f"{', '.join(there)} {exist} already: give another --out")
    return list(paths)


def round_shortest(
    values: Float64, reads_back: Callable[[Float64], NDArray[np.bool_]], digits: tuple[int, ...]
) -> Float64:
    """Rows [M, D] rounded to the first number of `digits` after the point at which `reads_back` says True for a row.

    `reads_back` takes candidates [M, D] and returns for each row whether a reader gets the original values from it. A
    row that no number of digits satisfies is not rounded.
    """
    best, open_rows = values.copy(), np.ones(len(values), bool)
    for count in digits:
        candidate = np.round(values, count)
        good = open_rows & reads_back(candidate)
        best[good] = candidate[good]
        open_rows &= ~good
    return best
