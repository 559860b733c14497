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
    from ssd300.evaluate.report import write_report
    from ssd300.evaluate.run import compare, evaluate

__all__ = ["compare", "evaluate", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ssd300.evaluate' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{'report' if name == 'write_report' else 'run'}"), name)


class _Callable(ModuleType):
    """A package that can be called, because `ssd300.evaluate` is both the package and the function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `ssd300.evaluate.run.evaluate`."""
        from ssd300.evaluate.run import evaluate as call

        return call(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
