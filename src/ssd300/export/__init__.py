"""Model files for others, and INT8 for ourselves; each verified against the original before it is moved into place."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which can also be called: the verb is `ssd300.export`, as the package is."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `ssd300.export.write.export`."""
        from ssd300.export.write import export as call

        return call(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
