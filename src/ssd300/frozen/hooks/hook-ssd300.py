"""What a frozen program needs of ssd300: the files in the package, and the modules that are imported by name."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("ssd300")


def _detects(module: str) -> bool:
    """Whether a module is for detecting. The runtime of torch comes in only where the program imports it itself."""
    return not module.startswith(("ssd300.learn", "ssd300.runtime.torch"))


hiddenimports = [
    module
    for part in ("ssd300.images", "ssd300.runtime", "ssd300.weights")
    for module in collect_submodules(part, filter=_detects)
]
hiddenimports += ["ssd300.detector", "ssd300.detections", "ssd300.draw", "ssd300.formats"]
