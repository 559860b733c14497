"""Wall time from a cold shell: `ssd300 detect` of one picture and `ssd300 --help` against `python -c "import torch"`.

Each command runs in a new process. The commands alternate, so that other load slows all of them equally. The first
round is not counted: it fills the file cache. Goals: detect < 1 x import torch, --help <= 0.3 x.
The memory of a command is None where the system does not report it.

    python benchmarks/cold_start.py [--model MODEL] [--picture PICTURE] [--rounds 9]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ssd300.benchmark.measure import Budget, Measured, Row, Timing, maxrss_unit, peak_memory_mib
from ssd300.errors import SSD300Error

ROOT = Path(__file__).parents[1]
YARDSTICK = "import torch"
DETECT = "ssd300 detect, one picture"


def commands(picture: Path, options: Sequence[str] = ()) -> dict[str, list[str]]:
    """The measured commands by name: Python and its libraries alone, and `ssd300 detect` with options."""
    script = Path(sys.executable).with_name("ssd300")
    ssd300 = [str(script)] if script.exists() else [sys.executable, "-m", "ssd300"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import openvino": [sys.executable, "-c", "import openvino"],
        **({YARDSTICK: [sys.executable, "-c", YARDSTICK]} if find_spec("torch") else {}),
        "ssd300 --help": [*ssd300, "--help"],
        DETECT: [*ssd300, "detect", str(picture), "--no-save", *options],
    }


def cold_start(measured: dict[str, list[str]], budget: Budget) -> Measured:
    """Time all commands alternately, so that other load slows all equally; the shares are relative to `import torch`.

    The warm-up rounds fill the file cache and the cache of compiled models. Raises SSD300Error if a command fails.
    """
    for _ in range(budget.warmup):
        for command in measured.values():
            run_once(command)
    runs: dict[str, list[tuple[float, float | None]]] = {name: [] for name in measured}
    for _ in budget.iterate():
        for name, command in measured.items():
            runs[name].append(run_once(command))
    timings = {
        name: Timing(tuple(seconds for seconds, _ in of_one), pictures=int(name == DETECT))
        for name, of_one in runs.items()
    }
    yardstick = timings[YARDSTICK].median_ms if YARDSTICK in timings else None
    rows = [
        Row(name, timing, timing.median_ms / yardstick if timing.median_ms and yardstick else None, peak_mib=peak)
        for (name, timing), peak in zip(timings.items(), map(_peak, runs.values()), strict=True)
    ]
    return Measured(tuple(rows), YARDSTICK if yardstick else None)


def run_once(command: list[str]) -> tuple[float, float | None]:
    """(wall seconds, peak memory in MiB) of a command; the memory is None where the system does not report it."""
    with tempfile.TemporaryFile() as words:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words)
        peak = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss / maxrss_unit()
        seconds, code = time.perf_counter() - start, process.wait()
        if code:
            words.seek(0)
            said = words.read().decode(errors="replace").strip().splitlines()
            raise SSD300Error(f"`{' '.join(command)}` failed with exit code {code}: {said[-1] if said else 'no words'}")
    return seconds, peak


def _peak(runs: list[tuple[float, float | None]]) -> float | None:
    """The highest peak; None if it is not above that of this process, where the kernel starts the peak of a child."""
    peaks, own = [peak for _, peak in runs if peak is not None], peak_memory_mib()
    return max(peaks) if peaks and own and max(peaks) > own else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--picture", type=Path, default=ROOT / "examples" / "images" / "astronaut.jpg")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else a clone would be compiled in every round
    measured = commands(options.picture, ["--model", options.model])
    print(f"{'command':<28}{'median ms':>11}{'fastest ms':>12}{f'of {YARDSTICK}':>17}")
    for row in cold_start(measured, Budget(0, options.rounds, warmup=1)).rows:
        fastest = min(row.timing.seconds) * 1e3
        print(f"{row.name:<28}{row.timing.median_ms:>11.0f}{fastest:>12.0f}{row.share or 0:>17.2f}")


if __name__ == "__main__":
    main()
