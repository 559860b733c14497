"""Exported model files, and INT8; each is verified against the original before it is moved into place."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that can be called, because `ssd300.export` is both the package and the function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `ssd300.export.write.export`."""
        from ssd300.export.write import export as call

        return call(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
