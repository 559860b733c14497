"""The pictures of some folders, decoded by ssd300, Pillow and OpenCV: mean pixel error, and which are refused.

    pip install opencv-python-headless
    python benchmarks/compare_decoders.py FOLDER ... [--worst 20] [--generated]

One row per format. "equal": bit for bit; "near": a mean error of up to 2 of 255 (different rounding or chroma filter);
"far": more, listed below; "refused": only ssd300 refuses it, listed with the reason. Alpha is laid over
white in all three. `--generated` adds pictures made here: every mode, depth and subsampling that Pillow writes.
"""

import argparse
import io
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from ssd300.errors import SSD300Error
from ssd300.images import decode_image, header
from ssd300.images.signatures import picture_format

Pixels = np.ndarray | None


def by_pillow(data: bytes) -> Pixels:
    """RGB uint8 [H, W, 3] by Pillow alone, alpha over white, upright; None if Pillow refuses the file."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture = ImageOps.exif_transpose(picture)
            if picture.mode.startswith("I;16"):
                return np.repeat((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)[..., None], 3, axis=2)
            if picture.mode in ("I", "F"):
                return None  # no rule of its own
            if picture.has_transparency_data:
                rgba = picture.convert("RGBA")
                return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
            return np.asarray(picture.convert("RGB"))
    except Exception:  # noqa: BLE001 whatever it raises, it refuses
        return None


def by_opencv(data: bytes) -> Pixels:
    """RGB uint8 [H, W, 3] by OpenCV. It does not apply alpha, so pictures with alpha are left out."""
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if found is None or whole is None or (whole.ndim == 3 and whole.shape[2] == 4):
        return None
    return found[..., ::-1]


def compare(ours: np.ndarray, other: np.ndarray) -> str:
    if ours.shape != other.shape:
        return "far"
    if np.array_equal(ours, other):
        return "equal"
    return "near" if np.abs(ours.astype(int) - other).mean() <= 2 else "far"


def pictures(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_size < 2**26:
                yield str(path.relative_to(folder)), path.read_bytes()


def generated() -> Iterator[tuple[str, bytes]]:
    y, x = np.mgrid[0:97, 0:131]
    rgba = np.stack([x * 1.9, y * 2.6, x + y, 255 - x], axis=2).clip(0, 255).astype(np.uint8)
    options: dict[str, list[dict]] = {
        "JPEG": [
            {"quality": q, "subsampling": s, "progressive": p} for q in (5, 75, 100) for s in (0, 1, 2) for p in (0, 1)
        ],
        "PNG": [{}, {"compress_level": 1}],
        "TIFF": [
            {"compression": c}
            for c in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "group4")
        ],
        "WebP": [{"quality": 80}, {"lossless": True}],
        "AVIF": [{"quality": 80}],
        "GIF": [{}],
        "BMP": [{}],
    }  # fmt: skip
    for kind, choices in options.items():
        for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"):
            deep = mode == "I;16"
            picture = (
                Image.fromarray(rgba[..., 0].astype(np.uint16) * 257) if deep else Image.fromarray(rgba).convert(mode)
            )
            for number, choice in enumerate(choices):
                stream = io.BytesIO()
                try:
                    picture.save(stream, kind, **choice)
                except (OSError, ValueError, KeyError):  # not a mode of this format
                    continue
                yield f"generated/{kind}-{mode}-{number}", stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--worst", type=int, default=20)
    parser.add_argument("--generated", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    notes: list[str] = []
    sources = [pictures(options.folders)]
    sources += [generated()] if options.generated else []
    for name, data in (one for source in sources for one in source):
        kind = picture_format(data)
        if kind is None:
            continue
        row = rows[kind]
        row["files"] += 1
        others = {"Pillow": by_pillow(data), "OpenCV": by_opencv(data)}
        try:
            ours = decode_image(data, name="x")
            header(data, name="x")
        except SSD300Error as error:
            readers = [who for who, pixels in others.items() if pixels is not None]
            for who in readers:
                row[f"{who} refused"] += 1
            row["refused by all"] += not readers
            notes += [f"refused, read by {' and '.join(readers)}: {name}: {str(error)[3:110]}"] if readers else []
            continue
        for who, pixels in others.items():
            result = "alone" if pixels is None else compare(ours, pixels)
            row[f"{who} {result}"] += 1
            if result == "far" and pixels is not None:
                error = np.abs(ours.astype(int) - pixels).mean() if ours.shape == pixels.shape else pixels.shape
                notes.append(f"far from {who}: {name}: {ours.shape} {error}")
    results = ("equal", "near", "far", "alone", "refused")
    print(
        "| format | files | "
        + " | ".join(f"{who} {r}" for who in ("Pillow", "OpenCV") for r in results)
        + " | refused by all |"
    )
    print("|---" * 13 + "|")
    for kind, row in sorted(rows.items()):
        cells = [
            row["files"],
            *(row[f"{who} {r}"] for who in ("Pillow", "OpenCV") for r in results),
            row["refused by all"],
        ]
        print(f"| {kind} | " + " | ".join(map(str, cells)) + " |")
    print("\n".join(notes[: options.worst]), file=sys.stderr)


if __name__ == "__main__":
    main()
