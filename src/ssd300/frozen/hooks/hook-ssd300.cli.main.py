"""What a frozen command line needs: the verbs, whose modules are imported by name."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("ssd300.cli")
