"""Peak memory of reading pictures at the limit of pixels, by format and number of threads. The goal: at most 2 GB.

    python benchmarks/picture_memory.py [--megapixels 134] [--threads 1 4] [--formats JPEG PNG TIFF]

Each line is one process that loads six pictures in the given number of threads.
"""

import argparse
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from ssd300.benchmark.measure import peak_memory_mib
from ssd300.images import load_for_network

PICTURES = 6
OPTIONS = {"PNG": {"compress_level": 1}, "TIFF": {"compression": "tiff_lzw"}, "WebP": {"lossless": True, "method": 0}}


def make_picture(megapixels: float, kind: str) -> bytes:
    """A picture of blocks with an EXIF rotation where the format has EXIF; turning it takes another copy."""
    side = int((megapixels * 1e6) ** 0.5)
    blocks = np.random.default_rng(0).integers(0, 256, (side // 64 + 1, side // 64 + 1, 3), np.uint8)
    picture = Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    picture.save(stream, kind, exif=exif, **OPTIONS.get(kind, {}))
    return stream.getvalue()


def load(path: str, threads: int) -> None:
    """Load the picture several times and print the peak memory of this process in MiB."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: load_for_network(path), range(PICTURES)))
    print(peak_memory_mib())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=134)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--formats", nargs="*", default=["JPEG", "PNG", "TIFF"])
    parser.add_argument("--load", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load, options.threads[0])
        return
    print(f"{'format':8}{'megapixels':>11}{'threads':>9}{'peak MiB':>9}")
    with TemporaryDirectory() as folder:
        for kind in options.formats:
            path = Path(folder) / "picture"
            path.write_bytes(make_picture(options.megapixels, kind))
            for threads in options.threads:
                command = [sys.executable, __file__, "--load", str(path), "--threads", str(threads)]
                peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                print(f"{kind:8}{options.megapixels:11.0f}{threads:9}{peak:9.0f}", flush=True)


if __name__ == "__main__":
    main()
