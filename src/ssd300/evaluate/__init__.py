"""COCO metrics and the report.

`coco.py` computes the metrics, `matches.py` matches detections to boxes, `bootstrap.py` computes intervals,
`diagnosis.py` analyzes the errors, `run.py` evaluates a detector on a data set, and `report.py` writes the report.
Names are loaded when first used.
"""

import sys
from typing import TYPE_CHECKING

from ssd300 import CallablePackage

if TYPE_CHECKING:
    from ssd300.evaluate.report import write_report
    from ssd300.evaluate.run import compare, evaluate

__all__ = ["compare", "evaluate", "write_report"]
_HOMES = {"compare": "run", "evaluate": "run", "write_report": "report"}

sys.modules[__name__].__class__ = CallablePackage
