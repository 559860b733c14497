"""`ssd300 doctor`: describe this machine and this installation, as text or JSON."""

import os
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ssd300.cli.doctor_extras import extras_of, import_faults, installed, requirements, state_of_extra
from ssd300.cli.messages import print_facts, print_json
from ssd300.digits import counted

SETTINGS = (
    "SSD300_OFFLINE",
    "SSD300_CACHE",
    "SSD300_ALLOW_PRIVATE_URLS",
    "SSD300_DEBUG",
    "ONEDNN_MAX_CPU_ISA",
    "OMP_NUM_THREADS",
    "NO_COLOR",
)
_FLAGS = {  # feature -> flags of /proc/cpuinfo, any of which implies it
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "AMX": ("amx_int8",),
}
_ARM_FLAGS = {"dot product": ("asimddp",), "I8MM": ("i8mm",), "bf16": ("bf16",), "SVE": ("sve",)}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs and bug reports.")] = False,
) -> None:
    """Show what this machine and installation support.

    Versions, CPU features, threads, runtimes, precision, extras and cache folders: include it in a bug report.
    """
    report = examine_installation()
    if as_json:
        print_json(report, indent=2)
    else:
        print_facts(report)


def examine_installation() -> dict[str, dict[str, Any]]:
    """The whole report: title -> name -> value. Imports the packages of the extras, in another process."""
    caches = _caches()  # before a model is compiled, and cached
    report, extras = examine_machine(), extras_of()
    faults = import_faults(sorted({name for packages in extras.values() for name in packages}))
    for runtime, package in (("onnx", "onnxruntime"), ("torch", "torch")):
        if package in faults:
            report["runtimes"][runtime] = f"broken: {faults[package]}"
    report |= {
        "precision": {"default model": _precision()},
        "extras": {extra: state_of_extra(extra, packages, faults) for extra, packages in extras.items()},
        "caches": caches,
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }
    return report | {"advice": _advice(report)}


def examine_machine() -> dict[str, dict[str, Any]]:
    """The part of the report that says what a measurement ran on: versions, CPU, threads and runtimes."""
    openvino = _openvino()
    return {
        "versions": _versions(),
        "cpu": _cpu(openvino),
        "threads": _threads(),
        "runtimes": {"openvino": openvino["state"], "onnx": installed("onnxruntime"), "torch": installed("torch")},
    }


def _advice(report: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Advice on making detection work, or faster; empty if there is none."""
    cpu, threads, advice = report["cpu"], report["threads"], {}
    if report["runtimes"]["openvino"].startswith("broken"):
        advice["openvino"] = "detection needs it: pip install --force-reinstall openvino"
    if "capped to" in cpu:
        advice["ONEDNN_MAX_CPU_ISA"] = "unset it, unless you want to simulate a weaker CPU: it slows down the network"
    if cpu.get("VNNI") == "no":
        advice["precision"] = "this CPU has no VNNI: INT8 is faster than float32 here, but by less than on newer CPUs"
    if cpu.get("dot product") == "no":
        advice["precision"] = "this CPU has no dot product instructions, which INT8 needs: float32 is used"
    if threads["CPUs this process may use"] < threads["CPUs of the machine"]:
        advice["threads"] = "this process may use only a part of the CPUs (taskset or a container's cpuset)"
    if threads["cgroup quota"] != "none":
        advice["quota"] = f"a container limits the CPU time to {threads['cgroup quota']}; more threads are no faster"
    return advice


def _versions() -> dict[str, str]:
    from ssd300 import __version__

    base = [name for name, _, extra in requirements("ssd300") if extra is None]
    return {
        "ssd300": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
    } | {name: installed(name) for name in base}


def _openvino() -> dict[str, Any]:
    """Whether OpenVINO loads, and its name and capabilities of the CPU."""
    import ssd300.runtime  # noqa: F401  # keeps OpenVINO's telemetry from loading

    try:
        import openvino

        core = openvino.Core()
        name = core.get_property("CPU", "FULL_DEVICE_NAME")
        capabilities = list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    except (ImportError, OSError, RuntimeError) as error:
        return {"state": f"broken: {error}", "name": platform.processor(), "capabilities": []}
    return {"state": f"{installed('openvino')}, loads", "name": name, "capabilities": capabilities}


def _cpu(openvino: dict[str, Any]) -> dict[str, Any]:
    """Name and features: from /proc/cpuinfo on Linux, elsewhere from OpenVINO."""
    from ssd300.cpu import cpu_flags, isa_cap

    facts = {"name": openvino["name"], "machine": platform.machine()}
    flags = cpu_flags()
    if flags:
        features = _ARM_FLAGS if "asimd" in flags else _FLAGS
        facts |= {name: "no" if flags.isdisjoint(any_of) else "yes" for name, any_of in features.items()}
    if cap := isa_cap():
        facts["capped to"] = f"{cap} by ONEDNN_MAX_CPU_ISA"
    capabilities = ", ".join(openvino["capabilities"])
    return facts | {"OpenVINO runs": capabilities or "nothing, see runtimes"}


def _precision() -> str:
    """The precision in which the bundled model runs on this CPU, and why. It is loaded, as detection would."""
    from ssd300.errors import SSD300Error
    from ssd300.runtime.load import load_runtime
    from ssd300.weights.catalog import resolve

    try:
        runtime = load_runtime(resolve("default"))
    except (SSD300Error, ImportError) as error:
        return f"none: {error}"
    return f"{runtime.precision}: {runtime.reason}"


def _threads() -> dict[str, Any]:
    """The number of threads that detection uses by default, and its limits."""
    from ssd300.cpu import allowed_cpus, cgroup_quota, default_threads

    quota = cgroup_quota()
    return {
        "used by default": default_threads(),
        "CPUs of the machine": os.cpu_count(),
        "CPUs this process may use": allowed_cpus(),
        "cgroup quota": "none" if quota is None else f"{quota:.2f} CPUs",
    }


def _caches() -> dict[str, str]:
    """Cache folders with the size of their contents."""
    from ssd300.weights.catalog import cache_folder

    folder = cache_folder()
    compiled = folder / "openvino"
    return {
        "downloads": f"{folder} ({_size(folder, but=compiled)})",
        "compiled models": f"{compiled} ({_size(compiled)})",
    }


def _size(folder: Path, but: Path | None = None) -> str:
    if not folder.is_dir():
        return "does not exist yet"
    paths = [path for path in folder.rglob("*") if not (but and path.is_relative_to(but))]
    files = [path.stat().st_size for path in paths if path.is_file()]
    return f"{counted(len(files), 'file')}, {sum(files) / 2**20:.1f} MiB"
