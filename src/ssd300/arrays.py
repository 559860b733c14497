"""Array types. Comments state the shapes where arrays are created or passed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


def as_plain(value: object) -> Any:
    """NumPy's numbers and arrays as Python's, which JSON and torch's files hold; a list as a tuple.

    >>> as_plain(np.float64(0.5)), as_plain([np.int64(3), 4])
    (0.5, (3, 4))
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(map(as_plain, value)) if isinstance(value, tuple | list) else value
