"""Time to decode a picture and to resize it to 300x300, by format and size. One thread, the median of many runs.

    python benchmarks/pictures.py [PICTURE ...]

Without arguments it makes pictures with as much detail as a photograph. "both" allocates memory for the pixels of each
picture, "buffer" is `load_for_network`, which reuses it; "fast" also decodes JPEGs at reduced scale.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ssd300.images import decode_image, header, load_for_network, resize_to_network

SIZES = ((640, 480), (1280, 960), (4000, 3000))
FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "WebP": {"quality": 90},
    "AVIF": {"quality": 80, "speed": 10},
    "TIFF": {},
    "BMP": {},
}


def make_picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise at every scale, which compresses about as well as a photograph."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for scale in (4, 16, 64, 256):
        small = rng.uniform(0, 255, (max(height // scale, 2), max(width // scale, 2), 3)).astype(np.uint8)
        total += np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(total.astype(np.uint8))


def median_ms(run: Callable[[], object], seconds: float = 1.0) -> float:
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - started < seconds:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times) * 1000


def print_row(kind: str, data: bytes) -> None:
    rgb = decode_image(data, name=kind)
    times = [
        median_ms(lambda: header(data, name=kind)),
        median_ms(lambda: decode_image(data, name=kind)),
        median_ms(lambda: resize_to_network(rgb)),
        median_ms(lambda: resize_to_network(decode_image(data, name=kind))),
        median_ms(lambda: load_for_network(data)),
        median_ms(lambda: load_for_network(data, decode="fast")),
    ]
    size = f"{rgb.shape[1]}x{rgb.shape[0]}"
    print(f"{kind:6} {size:>10} {len(data) / 1024:8.0f}" + "".join(f"{ms:9.2f}" for ms in times), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time decoding and resizing.")
    parser.add_argument("pictures", nargs="*", type=Path, help="picture files; generated ones if none are given")
    paths = parser.parse_args().pictures
    columns = ("header", "decode", "resize", "both", "buffer", "fast")
    print(f"{'format':6} {'size':>10} {'KiB':>8}" + "".join(f"{column:>9}" for column in columns) + "   (ms)")
    for path in paths:
        data = path.read_bytes()
        print_row(header(data, name=str(path)).format, data)
    if paths:
        return
    for size in SIZES:
        picture = make_picture(*size)
        for kind, options in FORMATS.items():
            stream = io.BytesIO()
            picture.save(stream, kind, **options)
            print_row(kind, stream.getvalue())


if __name__ == "__main__":
    main()
