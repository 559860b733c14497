"""The state of the optional packages, for `ssd300 doctor`: missing, of another version than allowed, or broken."""

import operator
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence


def installed(package: str) -> str:
    """The version of a package, without importing it."""
    from importlib import metadata  # takes 16 ms, a tenth of what `--help` takes

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def requirements(package: str) -> Iterator[tuple[str, str, str | None]]:
    """(package or package[x,y], versions such as ">=1,<2", extra or None) of a package's requirements."""
    from importlib import metadata

    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:  # for ssd300: run from a clone that was never installed
        lines = []
    for line in lines:
        extra = re.search(r"""extra\s*==\s*['"](\w+)['"]""", line)
        parts = re.match(r"([\w.-]+(?:\[[\w,]+\])?)\s*\(?([^;)]*)", line)
        if parts:
            yield parts[1], parts[2].strip(), extra[1] if extra else None


def extras_of() -> dict[str, dict[str, str]]:
    """Extra -> its packages, and the versions of each that ssd300 allows."""
    extras = {extra for *_, extra in requirements("ssd300") if extra and extra != "dev"}
    return {extra: dict(_leaves("ssd300", [extra])) for extra in sorted(extras)}


def state_of_extra(extra: str, packages: dict[str, str], faults: dict[str, str]) -> str:
    """Installed, or the packages that are missing, of another version than allowed, or cannot be imported."""
    needed = []
    for name, allowed in packages.items():
        version = installed(name)
        if version == "not installed":
            needed.append(name)
        elif not _is_allowed(version, allowed):
            needed.append(f"{name} {allowed} (installed: {version})")
    if needed:
        return f'needs {", ".join(needed)}: pip install ".[{extra}]" in a clone of ssd300'
    broken = {name: faults[name] for name in packages if name in faults}
    words = ", ".join(f"{name} ({fault})" for name, fault in broken.items())
    return f"cannot import {words}: pip install --force-reinstall {' '.join(broken)}" if broken else "installed"


def _is_allowed(version: str, allowed: str) -> bool:
    """Whether a version is within bounds.

    >>> _is_allowed("2.63.0+cpu", ">=2.51,<2.64"), _is_allowed("0.0.9", ">=0.0.20"), _is_allowed("3.0", "==3")
    (True, False, True)
    """

    def numbers(text: str) -> list[int]:
        found = re.match(r"\d+(\.\d+)*", text)
        return [int(part) for part in re.sub(r"(\.0+)+$", "", found[0]).split(".")] if found else []

    tests = {">=": operator.ge, "<": operator.lt, "==": operator.eq}
    bounds = re.findall(r"(>=|<|==)\s*([\d.]+)", allowed)
    return all(tests[sign](numbers(version), numbers(bound)) for sign, bound in bounds)


def _leaves(package: str, extras: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The packages that some extras of a package add, with those of the extras that they name themselves.

    With the versions that ssd300 allows; those of other packages may depend on the system.
    """
    for requirement, allowed, extra in requirements(package):
        if extra in extras:
            name, _, inner = requirement.removesuffix("]").partition("[")
            if name != package:
                yield name, allowed if package == "ssd300" else ""
            if inner:
                yield from _leaves(name, inner.split(","))


_IMPORTS = """
import importlib, os, sys
os.environ["ORT_DISABLE_TELEMETRY"], sys.modules["openvino_telemetry"] = "1", None  # as ssd300.runtime does
answers = os.fdopen(os.dup(1), "w", errors="backslashreplace")
os.dup2(2, 1)  # what packages print is none
for module in sys.argv[1:]:
    fault = ""
    try:
        importlib.import_module(module)
    except Exception as error:
        fault = " ".join(str(error).split()) or type(error).__name__
    print(fault, file=answers, flush=True)
"""


def import_faults(packages: Sequence[str]) -> dict[str, str]:
    """Installed package -> why it cannot be imported. In other processes, as a broken one may end its own."""
    from importlib import metadata

    if getattr(sys, "frozen", False):  # the program is no interpreter
        return {}
    wanted, package_of = {_normal(name) for name in packages}, dict[str, str]()  # of a module
    modules = sorted(metadata.packages_distributions().items(), key=lambda pair: pair[0].startswith("_"))
    for own_name in (True, False):  # a module with the package's name is better than its others
        for module, names in modules:
            for name in {_normal(name) for name in names} & wanted - {*package_of.values()}:
                if not own_name or _normal(module) == name:
                    package_of[module] = name
    found = {package_of[module]: fault for module, fault in _failing_imports(list(package_of))}
    return {name: found[_normal(name)] for name in packages if _normal(name) in found}


def _failing_imports(modules: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(module, fault) of each that cannot be imported. After one that ends the process another process goes on."""
    while modules:
        command = [sys.executable, "-c", _IMPORTS, *modules]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        faults = [*ended.stdout.splitlines(), "its import ends the process"]
        yield from ((module, fault) for module, fault in zip(modules, faults, strict=False) if fault)
        modules = modules[len(faults) :]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
