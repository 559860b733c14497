"""The pictures to measure with: the user's files, or generated ones that are identical everywhere."""

from pathlib import Path

import numpy as np
from PIL import Image

from ssd300.images.source import expand, read_bytes

SYNTHETIC = "synthetic 640x480 JPEGs, seed 0"
_WIDTH, _HEIGHT = 640, 480


def write_jpegs(folder: Path, count: int = 16) -> list[Path]:
    """Write `count` different JPEGs of 640x480 to `folder`: textured shapes, with file sizes as of photographs."""
    paths = []
    for number in range(count):
        draw = np.random.default_rng([0, number])
        total = np.full((_HEIGHT, _WIDTH, 3), 127.5, np.float32)
        for cell, strength in ((160, 1.0), (40, 0.5), (8, 0.3)):
            coarse = draw.integers(0, 256, (_HEIGHT // cell, _WIDTH // cell, 3), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
            total += (np.asarray(smooth, np.float32) - 127.5) * strength
        total += draw.normal(0, 4, total.shape)
        paths.append(folder / f"{number:03}.jpg")
        Image.fromarray(total.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def find_pictures(images: Path) -> list[Path]:
    """The picture files of a directory or glob, sorted, or the one file. Raises ImageError if there is none."""
    sources = list(expand(str(images)))
    read_bytes(sources[0].value, sources[0].name)  # raises the error for a path without pictures
    return [Path(source.value) for source in sources]
