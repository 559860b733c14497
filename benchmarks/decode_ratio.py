"""Time to load ordinary JPEG and PNG pictures with this checkout and with another one, alternating in one run.

    git worktree add ../before COMMIT
    python benchmarks/decode_ratio.py ../before/src [--rounds 7]

Each line: core milliseconds of both (the lowest median of a round) and the ratio new/old; below 1 this checkout is
faster. Every round starts one process of each, in changing order.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "src"
SIZES = ((640, 480), (1280, 960), (4000, 3000))
KINDS = {"JPEG": {"quality": 90}, "progressive JPEG": {"quality": 90, "progressive": True}, "PNG": {}}


def measure() -> None:
    """Print the median milliseconds of every kind and size as JSON."""
    from pictures import make_picture
    from ssd300.images import load_for_network

    found = {}
    for width, height in SIZES:
        picture = make_picture(width, height)
        for kind, options in KINDS.items():
            stream = io.BytesIO()
            picture.save(stream, kind.split()[-1], **options)
            data, times = stream.getvalue(), []
            load_for_network(data)
            until = time.perf_counter() + 0.3
            while len(times) < 3 or time.perf_counter() < until:
                start = time.thread_time()
                load_for_network(data)
                times.append(time.thread_time() - start)
            found[f"{kind} {width}x{height}"] = statistics.median(times) * 1e3
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", nargs="?", type=Path, help="the src folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.old is None:
        measure()
        return
    times: dict[str, dict[str, list[float]]] = {}
    sides = [("old", options.old), ("new", HERE)]
    for _ in range(options.rounds):
        sides.reverse()
        for side, source in sides:
            environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
            done = subprocess.run(
                [sys.executable, __file__], env=environment, check=True, capture_output=True, text=True
            )
            for name, ms in json.loads(done.stdout).items():
                times.setdefault(name, {"old": [], "new": []})[side].append(ms)
    print(f"{'picture':28}{'old ms':>9}{'new ms':>9}{'ratio':>8}")
    for name, both in times.items():
        old, new = min(both["old"]), min(both["new"])
        print(f"{name:28}{old:9.2f}{new:9.2f}{new / old:8.3f}")


if __name__ == "__main__":
    main()
