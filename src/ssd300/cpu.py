"""The features of this machine's CPU, and the number of CPUs that this process may use."""

import os
import platform
from functools import cache
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def default_threads() -> int:
    """CPUs of the affinity mask, limited by the cgroup's quota (2 in a container with 2 of 64 cores), at least 1."""
    quota = cgroup_quota()
    return allowed_cpus() if quota is None else max(1, min(allowed_cpus(), round(quota)))


def allowed_cpus() -> int:
    """CPUs of the affinity mask."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cgroup_quota(root: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """The CPU quota of the tightest control group, in CPUs, or None. Reads both versions of cgroups."""
    quotas = []
    for line in filter(None, _read_text(own).split("\n")):  # the only one of splitlines' ends that no name may have
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            base, read = root, _quota_v2
        elif "cpu" in controllers.split(","):
            base, read = root / "cpu", _quota_v1
        else:
            continue
        inner = base / path.lstrip("/")
        # A container sees its own group as the root, so the path in /proc may not exist below it.
        quotas += [read(folder) for folder in (inner, *inner.parents) if folder.is_relative_to(base)]
    known = [quota for quota in quotas if quota is not None]
    return min(known, default=None)


def _quota_v2(folder: Path) -> float | None:
    fields = _read_text(folder / "cpu.max").split()
    return int(fields[0]) / int(fields[1]) if len(fields) == 2 and fields[0] != "max" else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = (_read_text(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period"))
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _read_text(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes())  # names of control groups need not be text
    except OSError:
        return ""


@cache
def cpu_flags() -> frozenset[str]:
    """The instruction set flags in /proc/cpuinfo; empty without this file."""
    for line in _read_text(Path("/proc/cpuinfo")).splitlines():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(values.split())
    return frozenset()


def isa_cap() -> str | None:
    """The instruction set to which oneDNN is capped, or None."""
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return None if cap.upper() in ("", "ALL", "DEFAULT") else cap


@cache
def native_bf16() -> bool:
    """Whether this CPU has bfloat16 instructions. Without them OpenVINO emulates it, slower than float32."""
    if cpu_flags() or platform.machine().lower() not in ("amd64", "x86_64"):
        return not cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"})
    import openvino  # Windows and Intel Macs have no /proc/cpuinfo

    try:
        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return False
