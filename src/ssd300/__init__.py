"""SSD300, NVIDIA's published object detector, for ordinary CPUs.

>>> import ssd300
>>> detector = ssd300.Detector.load()                      # doctest: +SKIP
>>> detector.detect("street.jpg").draw().show()            # doctest: +SKIP

The public names are loaded when they are first used, so that `import ssd300` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssd300.data.load import load_dataset
    from ssd300.detections import Detection, Detections
    from ssd300.detector import Detector, Failure
    from ssd300.errors import (
        ArgumentError,
        DatasetError,
        DownloadError,
        ImageError,
        MissingExtraError,
        ModelError,
        SSD300Error,
        TrainingError,
    )
    from ssd300.labels import COCO, ClassList

__version__ = "0.1.0"
__all__ = [
    "COCO",
    "ArgumentError",
    "ClassList",
    "DatasetError",
    "Detection",
    "Detections",
    "Detector",
    "DownloadError",
    "Failure",
    "ImageError",
    "MissingExtraError",
    "ModelError",
    "SSD300Error",
    "TrainingError",
    "__version__",
    "load_dataset",
]

_HOMES = {
    "COCO": "ssd300.labels",
    "ClassList": "ssd300.labels",
    "Detection": "ssd300.detections",
    "Detections": "ssd300.detections",
    "Detector": "ssd300.detector",
    "Failure": "ssd300.detector",
    "load_dataset": "ssd300.data.load",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ssd300' has no attribute {name!r}; its public names: {', '.join(__all__)}")
    value = getattr(import_module(_HOMES.get(name, "ssd300.errors")), name)
    globals()[name] = value  # so that this function is asked once a name
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
