"""The parts of a measurement: its duration, the times, and the rows of a report."""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Budget:
    """How long to measure: `repeats` calls, or `seconds` if that is None, after `warmup` uncounted calls."""

    seconds: float
    repeats: int | None = None
    warmup: int = 0

    def iterate(self, share: float = 1.0) -> Iterator[int]:
        """Yield 0, 1, 2, ... while a share of the budget lasts, at least once. The first call starts the clock.

        >>> list(Budget(seconds=9, repeats=3).iterate())
        [0, 1, 2]
        """
        start, number = time.perf_counter(), 0
        while number == 0 or self._continues(number, time.perf_counter() - start, share):
            yield number
            number += 1

    def _continues(self, number: int, elapsed: float, share: float) -> bool:
        return elapsed < self.seconds * share if self.repeats is None else number < ceil(self.repeats * share)


@dataclass(frozen=True)
class Timing:
    """Wall seconds of equal calls, each with `pictures` pictures (0: none)."""

    seconds: tuple[float, ...]
    pictures: int = 1

    @property
    def median_ms(self) -> float | None:
        """The median of a call; None if nothing was measured."""
        return self._quantile_ms(0.5)

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile, interpolated; None if nothing was measured."""
        return self._quantile_ms(0.95)

    @property
    def rate(self) -> float | None:
        """Pictures per second over all calls, slow ones included; None without pictures."""
        total = sum(self.seconds)
        return self.pictures * len(self.seconds) / total if self.pictures and total else None

    def _quantile_ms(self, quantile: float) -> float | None:
        return float(np.quantile(self.seconds, quantile)) * 1e3 if self.seconds else None


@dataclass(frozen=True)
class Row:
    """One line of a report; fields that do not apply are None.

    `share` is relative to what the report names, `core_ms` is CPU time per call in milliseconds of one core,
    `peak_mib` the peak memory of a separate process.
    """

    name: str
    timing: Timing
    share: float | None = None
    core_ms: float | None = None
    peak_mib: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "calls": len(self.timing.seconds),
            "median_ms": self.timing.median_ms,
            "p95_ms": self.timing.p95_ms,
            "pictures_per_second": self.timing.rate,
            "core_ms": self.core_ms,
            "share": self.share,
            "peak_memory_mib": self.peak_mib,
        }


@dataclass(frozen=True)
class Measured:
    """The rows of one measurement, what their shares refer to, other facts, and the overall peak memory."""

    rows: tuple[Row, ...]
    share_of: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    peak_mib: float | None = None


def peak_memory_mib(status: Path = Path("/proc/self/status")) -> float | None:
    """The peak memory of this process in MiB; None where the system does not report it (Windows)."""
    # ru_maxrss would include the process image before exec. Not every kernel gives the peak (gVisor's).
    if status.exists() and (peak := re.search(r"VmHWM:\s*(\d+)", status.read_text("ascii", "replace"))):
        return int(peak[1]) / 2**10
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / maxrss_unit()


def maxrss_unit() -> int:
    """Units of `ru_maxrss` per MiB: Apple counts bytes, others KiB."""
    return 2**20 if sys.platform == "darwin" else 2**10
