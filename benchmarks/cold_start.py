"""Wall time from a cold shell: `ssd300 detect` of one picture and `ssd300 --help` against `python -c "import torch"`.

Each command runs in a fresh process, in turns, so that a busy machine slows all of them alike. Run it twice: the first
run fills the file cache. Bars: detect < 1 x import torch, --help <= 0.3 x.

    python benchmarks/cold_start.py [--model MODEL] [--picture PICTURE] [--rounds 9]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
YARDSTICK = "import torch"


def commands(model: str, picture: Path) -> dict[str, list[str]]:
    """What is measured: name -> command. The import of OpenVINO is the part of detecting that is not ours."""
    ssd300 = str(Path(sys.executable).with_name("ssd300"))
    return {
        YARDSTICK: [sys.executable, "-c", "import torch"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import openvino": [sys.executable, "-c", "import openvino"],
        "ssd300 --help": [ssd300, "--help"],
        "ssd300 detect": [ssd300, "detect", str(picture), "--no-save", "--model", model],
    }


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--picture", type=Path, default=ROOT / "examples" / "images" / "astronaut.jpg")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    measured = commands(options.model, options.picture)
    times: dict[str, list[float]] = {name: [] for name in measured}
    for command in measured.values():
        seconds(command)
    for _ in range(options.rounds):
        for name, command in measured.items():
            times[name].append(seconds(command))
    yardstick = statistics.median(times[YARDSTICK])
    print(f"{'command':<18}{'median ms':>11}{'fastest ms':>12}{'of import torch':>17}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<18}{median * 1e3:>11.0f}{min(values) * 1e3:>12.0f}{median / yardstick:>17.2f}")


if __name__ == "__main__":
    main()
