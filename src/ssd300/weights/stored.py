"""Where the numbers of a torch file are: storages, and tensors as views of them."""

from dataclasses import dataclass

import numpy as np

ELEMENTS = {  # storage class in torch -> numpy type; bfloat16 is read as its upper 16 bits
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class Storage:
    """A storage in the file: `numel` elements of a numpy type, under a key."""

    key: str
    dtype: str  # one of ELEMENTS.values()
    numel: int

    @property
    def dtype_name(self) -> str:
        """For example "float32"."""
        return self.dtype if self.dtype == "bfloat16" else np.dtype(self.dtype).name

    @property
    def nbytes(self) -> int:
        return self.numel * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a torch file, not read yet; strides and offset count elements and are inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
