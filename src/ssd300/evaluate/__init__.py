"""The COCO numbers and the report around them.

`coco.py` counts results, `matches.py` says who found what, `bootstrap.py` how sure an AP is, `diagnosis.py` where it is
lost; `run.py` does it for a detector on a data set, `report.py` writes it down. Names are loaded when first used.
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
    """This package, which can also be called: the verb is `ssd300.evaluate`, as the package is."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `ssd300.evaluate.run.evaluate`."""
        from ssd300.evaluate.run import evaluate as call

        return call(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
