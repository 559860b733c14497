"""COCO metrics and the report.

`coco.py` computes the metrics, `matches.py` matches detections to boxes, `bootstrap.py` computes intervals,
`diagnosis.py` analyzes the errors, `run.py` evaluates a detector on a data set, and `report.py` writes the report.
Names are loaded when first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssd300.evaluate.bootstrap import Difference, Interval
    from ssd300.evaluate.coco import CocoMetrics, coco_metrics
    from ssd300.evaluate.report import report_numbers, write_report
    from ssd300.evaluate.run import Evaluation, compare, evaluate

__all__ = [
    "CocoMetrics",
    "Difference",
    "Evaluation",
    "Interval",
    "coco_metrics",
    "compare",
    "evaluate",
    "report_numbers",
    "write_report",
]

_HOMES = {
    "CocoMetrics": "coco",
    "Difference": "bootstrap",
    "Evaluation": "run",
    "Interval": "bootstrap",
    "coco_metrics": "coco",
    "compare": "run",
    "evaluate": "run",
    "report_numbers": "report",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ssd300.evaluate' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


class _Callable(ModuleType):
    """A package that can be called, because `ssd300.evaluate` is both the package and the function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `ssd300.evaluate.run.evaluate`."""
        from ssd300.evaluate.run import evaluate as call

        return call(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
