"""torch.hub entry points: `torch.hub.load("PATH/TO/THIS/CLONE", "nvidia_ssd", source="local")`; nothing to install."""

import sys
from pathlib import Path

dependencies = ["torch", "numpy", "PIL", "simplejpeg", "safetensors", "platformdirs"]

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from ssd300.hub import nvidia_ssd, nvidia_ssd_processing_utils  # noqa: E402

__all__ = ["nvidia_ssd", "nvidia_ssd_processing_utils"]
