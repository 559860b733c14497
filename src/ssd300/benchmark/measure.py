"""What every measurement is made of: how long it goes on, the times, and the rows of a report."""

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
    """How long to measure: `repeats` calls, or for `seconds` if that is None. `warmup` calls before do not count."""

    seconds: float
    repeats: int | None = None
    warmup: int = 0

    def counted(self, share: float = 1.0) -> Iterator[int]:
        """0, 1, 2, ... for as many calls as a share of the budget allows, at least one. The first starts the clock.

        >>> list(Budget(seconds=9, repeats=3).counted())
        [0, 1, 2]
        """
        start, number = time.perf_counter(), 0
        while number == 0 or self._goes_on(number, time.perf_counter() - start, share):
            yield number
            number += 1

    def _goes_on(self, number: int, elapsed: float, share: float) -> bool:
        return elapsed < self.seconds * share if self.repeats is None else number < ceil(self.repeats * share)


@dataclass(frozen=True)
class Timing:
    """Wall seconds of equal calls, each of which takes `pictures` pictures (0: it has none)."""

    seconds: tuple[float, ...]
    pictures: int = 1

    @property
    def median_ms(self) -> float | None:
        """Of a call; None where nothing was measured."""
        return self._quantile_ms(0.5)

    @property
    def p95_ms(self) -> float | None:
        """What 95 % of the calls stay below, between two calls by proportion; None where nothing was measured."""
        return self._quantile_ms(0.95)

    @property
    def rate(self) -> float | None:
        """Pictures a second over all calls together, slow ones included; None where there were none."""
        total = sum(self.seconds)
        return self.pictures * len(self.seconds) / total if self.pictures and total else None

    def _quantile_ms(self, quantile: float) -> float | None:
        return float(np.quantile(self.seconds, quantile)) * 1e3 if self.seconds else None


@dataclass(frozen=True)
class Row:
    """One line of a report. What does not apply is None.

    `share` is a part of what the report says (1 is all of it), `core_ms` CPU time a call in milliseconds of one core,
    `peak_mib` the most memory of a process of its own.
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
    """The rows of one measurement, what their shares are of, what else was found, and the peak memory of all of it."""

    rows: tuple[Row, ...]
    share_of: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    peak_mib: float | None = None


def peak_memory_mib() -> float | None:
    """The most memory that this process has held at once, in MiB; None where the system does not tell (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what held this process before it became Python
        return next(int(line.split()[1]) / 2**10 for line in status.read_text().splitlines() if "VmHWM" in line)
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / maxrss_unit()


def maxrss_unit() -> int:
    """How many of the units of `ru_maxrss` are one MiB: Apple counts bytes, others KiB."""
    return 2**20 if sys.platform == "darwin" else 2**10
