"""Wall time from a cold shell: `ssd300 detect` of one picture and `ssd300 --help` against `python -c "import torch"`.

Each command runs in a fresh process, in turns, so that a busy machine slows all of them alike. The first round is not
counted: it fills the file cache. Bars: detect < 1 x import torch, --help <= 0.3 x. `ssd300 benchmark --what cold-start`
measures the same.

    python benchmarks/cold_start.py [--model MODEL] [--picture PICTURE] [--rounds 9]
"""

import argparse
from pathlib import Path

from ssd300.benchmark.cold_start import YARDSTICK, cold_start, commands
from ssd300.benchmark.measure import Budget

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--picture", type=Path, default=ROOT / "examples" / "images" / "astronaut.jpg")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    measured = commands(options.picture, ["--model", options.model])
    print(f"{'command':<28}{'median ms':>11}{'fastest ms':>12}{f'of {YARDSTICK}':>17}")
    for row in cold_start(measured, Budget(0, options.rounds, warmup=1)).rows:
        fastest = min(row.timing.seconds) * 1e3
        print(f"{row.name:<28}{row.timing.median_ms:>11.0f}{fastest:>12.0f}{row.share:>17.2f}")


if __name__ == "__main__":
    main()
