"""Pictures with random damage: each ends in an array or an ImageError."""

import io
import os
import random
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile.pictures import encoded, patched
from images.raw_tiff import tiff
from images.test_jpeg_lossless import lossless
from ssd300.errors import ImageError, SSD300Error
from ssd300.images import decode_image, header, open_source

SEEDS = [
    ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "RGB", {"progressive": True}), ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {}), ("PNG", "I;16", {}), ("PNG", "1", {}),
    ("WebP", "RGB", {}), ("WebP", "RGBA", {"lossless": True}), ("AVIF", "RGB", {}), ("AVIF", "RGBA", {}),
    ("GIF", "P", {"transparency": 1}), ("BMP", "RGB", {}), ("BMP", "P", {}), ("TIFF", "RGB", {}), ("TIFF", "F", {}),
    ("TIFF", "CMYK", {"compression": "tiff_lzw"}), ("TIFF", "RGB", {"compression": "jpeg"}), ("TIFF", "I;16", {}),
    ("TIFF", "LA", {"compression": "packbits"}), ("BMP", "RGBA", {}), ("PNG", "LA", {}),
    ("JPEG", "RGB", {"keep_rgb": True}),
]  # fmt: skip
TIFFS = [
    ({"planar": True}, "u2", "<"),
    ({"planar": True, "tile": (32, 16), "compression": "deflate", "predictor": 2}, "u2", ">"),
    ({"compression": "deflate", "predictor": 3}, "f4", "<"), ({"photometric": 0}, "u2", ">"), ({"bits": 12}, "u2", "<"),
    ({"extra": [1], "planar": True}, "u1", "<"), ({"photometric": 5, "compression": "packbits"}, "u2", "<"),
    ({"tags": {254: [1]}}, "u1", "<"),
]  # fmt: skip


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    with_exif = ("JPEG", "PNG", "WebP", "TIFF", "AVIF")
    found = [encoded(kind, mode, **({"exif": exif} if kind in with_exif else {}), **more) for kind, mode, more in SEEDS]
    return [*found, *(numbers(*one) for one in TIFFS), lossless(b"RGB", 604), lossless(b"\x01", 40), large_jpeg()]


def large_jpeg() -> bytes:
    """One that decode="fast" reads at reduced scale."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)).resize((608, 604)).save(
        stream, "JPEG"
    )
    return stream.getvalue()


def numbers(options: dict, dtype: str, order: str) -> bytes:
    """A TIFF that NumPy reads, in BigTIFF where the order of its bytes is the big one; with a thumbnail behind."""
    gray = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    channels = 1 if options.get("photometric") == 0 or "bits" in options else 4 if len(options) > 1 else 3
    array = np.repeat(gray[..., None], channels, axis=2)
    array = (array / 255).astype(dtype) if dtype[0] == "f" else array.astype(dtype) * (16 if "bits" in options else 1)
    return tiff((array, options), (gray[::4, ::4], {"tags": {254: [1]}}), order=order, big=order == ">")


def mutate(seeds: list[bytes], number: int) -> bytes:
    """Damage number `number`: flips, cuts, splices, runs, and edits of the first bytes, one to three of them."""
    rng = random.Random(number)
    data = bytearray(seeds[number % len(seeds)])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.choice(["flip", "header", "header", "cut", "splice", "drop", "run", "number"])
        if kind == "flip":
            for _ in range(rng.randint(1, 20)):
                if data:
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "header" and data:
            data[rng.randrange(min(64, len(data)))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == "cut":
            del data[at:]
        elif kind == "splice":
            other = rng.choice(seeds)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + rng.randint(1, 200)]
        elif kind == "drop":
            del data[at : at + rng.randint(1, 100)]
        elif kind == "run":
            data[at : at + 16] = bytes([rng.choice([0, 0xFF])]) * 16
        elif kind == "number" and len(data) > 4:
            at = min(at, len(data) - 4)
            struct.pack_into(rng.choice("<>") + "I", data, at, rng.choice([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
    return bytes(data)


def survive(seeds: list[bytes], numbers: range) -> tuple[int, int]:
    """Decode damaged pictures; how many gave an array and how many an error."""
    arrays = errors = 0
    for number in numbers:
        data = mutate(seeds, number)
        try:
            if data[:2] == b"\xff\xd8":
                with suppress(ImageError):
                    decode_image(data, name="fast", decode="fast")
            rgb = open_source(data)
        except SSD300Error as error:
            name = str(error).split(": ")[0]
            errors += 1
        else:
            name = f"<{len(data)} bytes>"
            assert (rgb.dtype, rgb.shape) == (np.uint8, (*header(data, name="again").size_hw, 3)), number
            arrays += 1
        assert name == f"<{len(data)} bytes>", number
    return arrays, errors


def test_600_damaged_pictures_end_in_an_array_or_an_error(seeds, capfd):
    arrays, errors = survive(seeds, range(600))
    assert arrays > 60
    assert errors > 150
    assert capfd.readouterr() == ("", "")  # libtiff's own lines neither


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_many_more_damaged_pictures_end_in_an_array_or_an_error_soon_and_in_little_memory(seeds):
    """20,000 pictures, or as many as SSD300_FUZZ says."""
    many = int(os.environ.get("SSD300_FUZZ", "20000"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before, slowest = memory("VmRSS"), 0.0
    for start in range(600, 600 + many, 10):
        started = time.process_time()  # not the clock: others use the machine, too
        survive(seeds, range(start, start + 10))
        slowest = max(slowest, time.process_time() - started)
    taken = memory("VmHWM") - before
    print(f"{many} pictures, the slowest ten {slowest:.2f} s, {taken / 1024:.0f} MiB")
    assert slowest < 10
    assert taken < 2 * 2**20


def memory(of: str) -> int:
    """A line of this process's memory, in KiB: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of))


def test_a_tiff_without_all_its_strips_is_refused_before_its_size_is_taken():
    data = encoded("TIFF", "F")
    height = data.index(struct.pack("<HHII", 257, 4, 1, 40)) + 8
    with pytest.raises(ImageError, match=r"damaged or truncated TIFF file \(parts of the picture are missing\)"):
        open_source(patched(data, height, "<I", 2_000_000))
