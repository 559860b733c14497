"""`ssd300 batch` on a Ray cluster of several nodes against the local engine: equal rows, rate, seconds to start.

    python benchmarks/batch.py [--pictures 1500] [--nodes 2] [--precision f32]

Each node has one CPU of this machine (Ray's cluster utility); the local engine uses one thread. The share is the
cluster's rate after its start, divided by the local rate times the number of nodes. The machine needs a core for each
node; the driver, which writes the results, and Ray's own processes use the same cores. The workers do not begin and end
together, so give a fast model more pictures: --precision int8 --pictures 5000.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from seeded_model import jpegs

RATE = re.compile(r"\((?P<rate>[\d.]+) pictures/s(?: after a start of (?P<start>[\d.]+) s)?\)")


def batch(out: Path, *arguments: str) -> tuple[float, float]:
    """(pictures per second after the start, seconds of the start) of one command."""
    command = [sys.executable, "-m", "ssd300", "batch", "pictures.txt", "--out", out.name, "--threads", "1", *arguments]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, check=False)
    found = RATE.search(done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return float(found["rate"]), float(found["start"] or 0)


def parts(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("part-*.parquet"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--precision", default="f32")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, data in enumerate(jpegs(20)):
            (folder / f"{number}.jpg").write_bytes(data)
        lines = [f"{number % 20}.jpg\n" for number in range(arguments.pictures)]
        (folder / "pictures.txt").write_text("".join(lines))
        common = ["--precision", arguments.precision, "--part-rows", "50"]
        local, _ = batch(folder / "local", *common)
        cluster = Cluster()
        for _ in range(arguments.nodes):
            cluster.add_node(num_cpus=1)
        rate, start = batch(folder / "ray", *common, "--engine", "ray", "--address", cluster.address)
        cluster.shutdown()
        again, _ = batch(folder / "again", *common)  # before and after, so that a slow minute meets both
        equal = parts(folder / "local") == parts(folder / "ray")
    alone = (local + again) / 2
    print(f"local, 1 thread: {local:.1f} and {again:.1f} pictures/s")
    print(f"ray, {arguments.nodes} nodes: {rate:.1f} pictures/s after a start of {start:.1f} s")
    print(f"share {rate / (alone * arguments.nodes):.3f} of local x nodes; rows equal to the byte: {equal}")


if __name__ == "__main__":
    main()
