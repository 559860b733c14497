"""Runtimes: each turns uint8 pictures into boxes and probabilities. `base.py` has their protocol.

`import openvino` creates an object of the package openvino_telemetry, which writes an identifier of the user below the
home folder, and NNCF sends events through it. Both work without that package, so its import is blocked here.
`import onnxruntime` 1.32 writes one, too, on Linux, and then sends events: a variable tells it not to.

oneTBB, which OpenVINO's threads come from, loads hwloc in such a way (RTLD_DEEPBIND) that hwloc frees memory of a
preloaded allocator such as jemalloc with that of libc, which ends the process (oneTBB issue 1636). Its variable for
sanitizers loads it in the normal way.
"""

import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read during the import of onnxruntime

if os.environ.get("LD_PRELOAD") or os.path.exists("/etc/ld.so.preload"):
    os.environ.setdefault("TBB_ENABLE_SANITIZERS", "1")  # read when oneTBB starts

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's way to forbid an import
