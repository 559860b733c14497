"""What a frozen program needs of ssd300: the files in the package, and the modules that are imported by name."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("ssd300")
# Training, evaluation and reports need torch and matplotlib, and come in only where the program imports them itself.
_PARTS = ("ssd300.images", "ssd300.runtime", "ssd300.weights")
hiddenimports = [module for part in _PARTS for module in collect_submodules(part)]
hiddenimports += ["ssd300.detector", "ssd300.detections", "ssd300.draw", "ssd300.formats"]
excludedimports = ["torch", "matplotlib", "nncf"]
