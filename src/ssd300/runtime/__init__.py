"""Runtimes: each turns uint8 pictures into boxes and probabilities. `base.py` is the seam.

`import openvino` builds an object of the package openvino_telemetry, which writes an identifier of the user below the
home folder, and NNCF sends events through it. Both go without where the package cannot be imported, so here it cannot.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's way to forbid an import
