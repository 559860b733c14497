"""COCO metrics and the report.

`coco.py` computes the metrics, `matches.py` matches detections to boxes, `bootstrap.py` computes intervals,
`diagnosis.py` analyzes the errors, `run.py` evaluates a detector on a data set, and `report.py` writes the report.
Names are loaded when first used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ssd300 import CallablePackage

if TYPE_CHECKING:
    from ssd300.evaluate.report import write_report
    from ssd300.evaluate.run import compare, evaluate

__all__ = ["compare", "evaluate", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ssd300.evaluate' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{'report' if name == 'write_report' else 'run'}"), name)


sys.modules[__name__].__class__ = CallablePackage
