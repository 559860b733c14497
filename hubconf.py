"""torch.hub entry points: `torch.hub.load("PATH/TO/THIS/CLONE", "nvidia_ssd", source="local")`.

ssd300 itself need not be installed, only what it imports. torch.hub would read `dependencies` after these imports, too
late to name what is missing.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

dependencies = ["torch", "numpy", "PIL", "simplejpeg", "safetensors", "platformdirs"]

if missing := [name for name in dependencies if find_spec(name) is None]:
    packages = " ".join("pillow" if name == "PIL" else name for name in missing)
    raise ModuleNotFoundError(f"nvidia_ssd needs packages that are not installed: pip install {packages}")

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from ssd300.hub import nvidia_ssd, nvidia_ssd_processing_utils  # noqa: E402

__all__ = ["nvidia_ssd", "nvidia_ssd_processing_utils"]
