"""From the bytes of a 640x480 JPEG to boxes, pictures a second and milliseconds, against two plain torch pipelines.

    python benchmarks/end_to_end.py [--backbone resnet50] [--pictures 40]

All rows use the same seeded weights, so boxes mean nothing; the last column says how many leave the selection:
- ssd300: `detect` (one at a time) and `detect_many` (overlapped), at f32 and where the CPU has it bf16;
- torch: Pillow decode, resize, eager float32 forward (channels-last), our NumPy decoding;
- published steps: aspect resize and centre cut as the hub helpers, eager forward, per-class decoding in torch.
Every row runs in a process of its own; medians.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

LOGIT_SCALE, BACKGROUND_BIAS = 0.35, 7.3
SCORE_THRESHOLD = 0.05  # as published
ROWS = ("ssd300 f32", "ssd300 bf16", "torch", "published steps")


def model_file(folder: Path, backbone: str) -> Path:
    """A seeded 81-class checkpoint whose background bias leaves some dozens of candidates a picture."""
    from decode import load_seeded
    from ssd300.architecture import architecture
    from ssd300.labels import COCO
    from ssd300.weights.checkpoint import write_checkpoint
    from ssd300.weights.metadata import ModelMetadata

    path, seeded, network = folder / f"{backbone}.safetensors", load_seeded(), architecture(backbone, 81)
    state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
    for head in network.class_heads:
        state[f"{head.key}.weight"] *= LOGIT_SCALE
        state[f"{head.key}.bias"][: head.out_channels // 81] += BACKGROUND_BIAS
    write_checkpoint(path, state, ModelMetadata(backbone, COCO))
    return path


def jpegs(count: int) -> list[bytes]:
    """Different smooth 640x480 pictures."""
    out = []
    for i in range(count):
        small = np.random.default_rng(i).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return out


def pipeline(row: str, path: Path) -> tuple[Callable[[bytes], int], Callable[[list[bytes]], Iterable[int]]]:
    """(one picture -> number of boxes, many pictures -> numbers of boxes) of a row."""
    if row.startswith("ssd300"):
        from ssd300.detector import Detector

        detector = Detector.load(path, precision=row.split()[1])
        settings = {"score_threshold": SCORE_THRESHOLD}
        return (
            lambda data: len(detector.detect(data, **settings)),
            lambda many: map(len, detector.detect_many(many, **settings)),
        )
    import torch

    from published_steps import published_decode
    from ssd300 import hub
    from ssd300.learn.inference import normalise
    from ssd300.learn.network import SSD300
    from ssd300.postprocess import decode
    from ssd300.weights.catalog import load_state

    state, metadata = load_state(path)
    network = SSD300(metadata.backbone, 81).eval().to(memory_format=torch.channels_last)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})

    @torch.inference_mode()
    def plain(data: bytes) -> int:
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((300, 300), Image.Resampling.BILINEAR)
        locs, logits = network(normalise(torch.from_numpy(np.array(picture))[None]))
        return len(decode(locs[0].numpy(), logits[0].numpy(), score_threshold=SCORE_THRESHOLD)[1])

    @torch.inference_mode()
    def published(data: bytes) -> int:
        tensor = hub.Processing.prepare_tensor([hub.Processing.prepare_input(io.BytesIO(data))])
        return len(published_decode(*network(tensor), criteria=0.5, max_output=20)[0][1])

    one = plain if row == "torch" else published
    return one, lambda many: map(one, many)


def measure(row: str, path: Path, count: int) -> dict[str, float]:
    pictures = jpegs(min(count, 8)) * (count // min(count, 8))
    one, many = pipeline(row, path)
    one(pictures[0])
    times, boxes = [], 0
    for data in pictures[: max(5, count // 4)]:
        start = time.perf_counter()
        boxes += one(data)
        times.append(time.perf_counter() - start)
    list(many(pictures))  # warm: sets up what throughput needs
    start = time.perf_counter()
    list(many(pictures))
    rate = len(pictures) / (time.perf_counter() - start)
    return {"latency_ms": statistics.median(times) * 1000, "rate": rate, "boxes": boxes / len(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--row", nargs=2, metavar=("ROW", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(options.row[0], Path(options.row[1]), options.pictures)))
        return
    from ssd300.runtime.cpu import native_bf16

    with tempfile.TemporaryDirectory() as folder:
        path = model_file(Path(folder), options.backbone)
        print(f"{options.backbone}, 640x480 JPEG bytes to boxes")
        for row in ROWS:
            if row == "ssd300 bf16" and not native_bf16():
                continue
            command = [sys.executable, __file__, "--row", row, str(path), "--pictures", str(options.pictures)]
            result = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            latency, rate, boxes = result["latency_ms"], result["rate"], result["boxes"]
            print(f"{row:16} {latency:7.1f} ms  {rate:6.1f} pictures/s  {boxes:.0f} boxes")


if __name__ == "__main__":
    main()
