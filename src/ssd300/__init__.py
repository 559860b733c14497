"""SSD300, NVIDIA's published object detector, for ordinary CPUs.

>>> import ssd300
>>> detector = ssd300.Detector.load()                      # doctest: +SKIP
>>> detector.detect("street.jpg").draw().show()            # doctest: +SKIP

The public names are loaded when they are first used, so that `import ssd300` costs nothing. `ssd300.evaluate` and
`ssd300.export` are packages that can be called.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssd300.data.load import load_dataset
    from ssd300.detections import Detection, Detections
    from ssd300.detector import Detector
    from ssd300.errors import (
        ArgumentError,
        DatasetError,
        DownloadError,
        ImageError,
        MissingExtraError,
        ModelError,
        OutputError,
        SSD300Error,
        TrainingError,
    )
    from ssd300.evaluate.run import evaluate  # type checkers see the function, which the package calls
    from ssd300.export.quantize import quantize
    from ssd300.export.write import export
    from ssd300.flow import Failure
    from ssd300.labels import COCO, ClassList
    from ssd300.learn.train import train
    from ssd300.options import DetectOptions

__version__ = "0.1.0"
__all__ = [
    "COCO",
    "ArgumentError",
    "ClassList",
    "DatasetError",
    "DetectOptions",
    "Detection",
    "Detections",
    "Detector",
    "DownloadError",
    "Failure",
    "ImageError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "SSD300Error",
    "TrainingError",
    "__version__",
    "evaluate",
    "export",
    "load_dataset",
    "quantize",
    "train",
]

_HOMES = {
    "COCO": "ssd300.labels",
    "ClassList": "ssd300.labels",
    "Detection": "ssd300.detections",
    "Detections": "ssd300.detections",
    "Detector": "ssd300.detector",
    "DetectOptions": "ssd300.options",
    "Failure": "ssd300.flow",
    "load_dataset": "ssd300.data.load",
    "quantize": "ssd300.export.quantize",
    "train": "ssd300.learn.train",
}
_CALLABLE = ("evaluate", "export")  # packages that can be called


class CallablePackage(ModuleType):
    """The class of `ssd300.evaluate` and `ssd300.export`, each of which is both a package and the function in it."""

    _HOMES: dict[str, str]  # public name -> the module of the package that it is loaded from

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function of the same name, such as `ssd300.evaluate.evaluate`."""
        return self._verb(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name not in self._HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}; it has {', '.join(self._HOMES)}")
        return getattr(import_module(f"{self.__name__}.{self._HOMES[name]}"), name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._HOMES})  # help() shows those of __all__

    @property
    def _verb(self) -> Any:
        return getattr(self, self.__name__.removeprefix("ssd300."))

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(self._verb)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ssd300' has no attribute {name!r}; its public names: {', '.join(__all__)}")
    if name in _CALLABLE:
        return import_module(f"ssd300.{name}")
    try:
        value = getattr(import_module(_HOMES.get(name, "ssd300.errors")), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return _train_without_torch
    globals()[name] = value  # so that Python calls this function only once per name
    return value


def _train_without_torch(*_arguments: Any, **_settings: Any) -> Any:
    """Raises MissingExtraError, as torch is not installed. It can be imported, as `from ssd300 import *` does."""
    from ssd300.errors import MissingExtraError

    raise MissingExtraError("ssd300.train", "train")


def __dir__() -> list[str]:
    return sorted(__all__)
