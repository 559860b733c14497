"""Video: rate against the network alone, core time of decoding by codec, memory of long runs, age of live results.

PYTHONPATH=src:tests python benchmarks/streams.py decode | rate [PRECISION] | memory [FRAMES] | age [SECONDS]
"""

import argparse
import os
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np

from beside import shares
from ssd300.detector import Detector
from ssd300.images.live import LiveStream
from ssd300.images.video import frames
from video.clips import CODECS, write_clip
from video.servers import RtspServer


def textured(path: Path, count: int, codec: str) -> Path:
    """640x480 with as much detail as a photograph: the plain frames of the tests are too easy to decode."""
    import av
    from PIL import Image

    photo = Image.open(Path(__file__).parents[1] / "examples/images/astronaut.jpg").convert("RGB").resize((900, 700))
    pixels = np.asarray(photo)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=30)
        stream.width, stream.height = 640, 480
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            x, y = round(130 + 125 * np.sin(number / 40)), round(110 + 105 * np.cos(number / 55))
            part = np.ascontiguousarray(pixels[y : y + 480, x : x + 640])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def decode(folder: Path) -> None:
    for codec, ending in CODECS.items():
        path = textured(folder / f"{codec}.{ending}", 150, codec)
        began = time.process_time()
        count = sum(1 for _ in frames(path))
        print(f"{codec:<12}{(time.process_time() - began) / count * 1e3:6.2f} core-ms a frame ({count} frames)")


def rate(folder: Path, precision: str) -> None:
    """Frames per second of a file of 600 frames, as a share of the network's rate on prepared pictures."""
    count = 600 if precision == "int8" else 100
    path = textured(folder / "clip.mp4", count, "libx264")
    detector = Detector.load(precision=precision)
    alone, video, share = shares(
        detector.runtime.for_throughput(), count, lambda: deque(detector.detect_video(path), maxlen=0)
    )
    print(f"{precision}: network alone {alone:.1f} frames/s, video {video:.1f} frames/s, share {share:.3f}")


def memory(folder: Path, count: int) -> None:
    """Resident memory after a tenth of the frames and at the end."""
    path = write_clip(folder / "clip.mp4", 500)
    detector, seen, early = Detector.load(), 0, 0.0
    while seen < count:
        for _ in detector.detect_video(path):
            seen += 1
            if seen == count // 10:
                early = resident_mb()
            if seen >= count:
                break
    print(f"files: {early:.1f} MB after {count // 10} frames, {resident_mb():.1f} MB after {count}")


def age(folder: Path, seconds: float) -> None:
    """A stream of 30 frames per second over RTSP, and a detector of at most 10: age of the results, and the counts."""
    os.environ["SSD300_ALLOW_PRIVATE_URLS"] = "1"
    path, ages = write_clip(folder / "clip.mp4", 250, options={"g": "15", "bf": "0"}), []
    with RtspServer(path, rate=30) as server:
        stream = LiveStream(f"rtsp://{server.address}/cam")
        stream.start()
        began = time.monotonic()
        early = 0.0
        while time.monotonic() - began < seconds:
            if taken := stream.take():
                time.sleep(0.1)
                ages.append(time.monotonic() - taken[1])
                if not early and time.monotonic() - began > seconds / 10:
                    early = resident_mb()
            time.sleep(0.001)
        stream.close()
    counts = stream.counts
    print(f"{counts.received} frames in {seconds:.0f} s; oldest answer {max(ages) * 1e3:.0f} ms of which 100 were work")
    print(
        f"{counts.given} given + {counts.dropped} dropped = {counts.given + counts.dropped}; memory {early:.1f} MB",
        end="",
    )
    print(f" to {resident_mb():.1f} MB")


def resident_mb() -> float:
    """This process's current memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("decode")
    modes.add_parser("rate").add_argument("precision", nargs="?", default="int8")
    modes.add_parser("memory").add_argument("frames", nargs="?", type=int, default=10_000)
    modes.add_parser("age").add_argument("seconds", nargs="?", type=float, default=1800)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.mode == "decode":
            decode(folder)
        elif options.mode == "rate":
            rate(folder, options.precision)
        elif options.mode == "memory":
            memory(folder, options.frames)
        else:
            age(folder, options.seconds)


if __name__ == "__main__":
    main()
