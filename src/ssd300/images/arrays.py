"""Arrays, tensors and PIL pictures -> RGB uint8 [H, W, 3], by the rules for files of the same depth or mode."""

import sys
import threading
from typing import Any

import numpy as np
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.errors import ImageError, unknown_name
from ssd300.images.forks import after_fork
from ssd300.images.modes import DECODER_ERRORS, picture_to_rgb, reason, rgba_to_rgb, to_uint8
from ssd300.images.orientation import orient
from ssd300.images.quiet import quiet_pillow

_CHANNELS = (1, 3, 4)
_loading = [threading.Lock() for _ in range(64)]  # of PIL pictures, by their addresses


def array_to_rgb(array: np.ndarray[Any, Any], name: str, *, color: str = "rgb") -> UInt8:
    """[H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (alpha last, as in files) -> RGB uint8 [H, W, 3].

    uint8, uint16 (its high byte) or float in 0..1. `color="bgr"` for OpenCV's channel order. A contiguous RGB uint8
    array is returned as it is. Raises ImageError for another shape, type or range.
    """
    if color not in ("rgb", "bgr"):
        raise unknown_name("channel order", color, ("rgb", "bgr"))
    _check_shape(array.shape, name)
    values = to_uint8(np.asarray(array), name)
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    if color == "bgr":
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]
    if values.shape[2] == 4:
        return rgba_to_rgb(values)
    return np.ascontiguousarray(values)


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    expected = "expected [H, W], or [H, W, 3] in RGB"
    if 0 in shape:
        raise ImageError(f"{name}: an array without pixels, shape {shape}; {expected}")
    if len(shape) == 4:
        raise ImageError(f"{name}: a batch of shape {shape}; {expected}. Pass its pictures one by one, or detect_many")
    if len(shape) == 3 and shape[2] not in _CHANNELS and shape[0] in _CHANNELS:
        raise ImageError(f"{name}: channels come first in shape {shape}; {expected}: use array.transpose(1, 2, 0)")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in _CHANNELS):
        raise ImageError(f"{name}: an array of shape {shape}; {expected}")


def is_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor; torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def is_array_like(value: Any) -> bool:
    """Whether it is a picture of another array library, such as JAX or h5py, which `numpy.asarray` converts."""
    other = hasattr(value, "__array__") and not isinstance(value, np.ndarray) and not is_tensor(value)
    return other and len(getattr(value, "shape", ())) in (2, 3)


def foreign_to_array(value: Any, name: str) -> Any:
    """A torch tensor on any device, or what `is_array_like` -> an array; any other value as it is. Raises ImageError.

    Three dimensions of a tensor with 1, 3 or 4 in the first place are [C, H, W], torch's own order.
    """
    try:
        if is_tensor(value):
            return np.asarray(_to_host(value).numpy())
        return np.asarray(value) if is_array_like(value) else value
    except (TypeError, RuntimeError) as error:  # sparse, quantized, without data, on another GPU
        kind = "a tensor" if is_tensor(value) else "an array"
        raise ImageError(f"{name}: {kind} that numpy cannot hold ({error}); pass a dense one") from error


def _to_host(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    return tensor.permute(1, 2, 0) if tensor.ndim == 3 and tensor.shape[0] in _CHANNELS else tensor


def shape_text(array: Any) -> str:
    """'480x640' for pictures, the whole shape for anything else."""
    shape = tuple(array.shape)
    if len(shape) == 3 and shape[0] in _CHANNELS and is_tensor(array):
        shape = shape[1:]
    elif len(shape) == 3 and shape[2] in _CHANNELS:
        shape = shape[:2]
    return "x".join(str(n) for n in shape)


def upright_rgb(picture: Image.Image, name: str) -> UInt8:
    """The user's PIL picture by the rules for files, so that it gives what its file gives -> uint8 [H, W, 3]."""
    with quiet_pillow():
        try:
            orientation = _load(picture)
        except DECODER_ERRORS as error:
            raise ImageError(
                f"{name}: the PIL picture cannot be loaded ({reason(error)}); if its file is closed before the result "
                "is there, call its load() first"
            ) from error
        if not picture.width or not picture.height:
            raise ImageError(f"{name}: the PIL picture has no pixels ({picture.width}x{picture.height})")
        rgb = picture_to_rgb(picture, name)
    return orient(rgb, orientation if orientation in range(1, 9) else 1)


def current_frame(picture: Image.Image) -> Image.Image:
    """A copy of the frame that a picture with several shows: going to the next one changes the object in place."""
    try:
        if not getattr(picture, "is_animated", False):
            return picture
        with quiet_pillow():
            _load(picture)
            return picture.copy()
    except DECODER_ERRORS:  # reported when it is read
        return picture


def _load(picture: Image.Image) -> Any:
    """Load the pixels in place, and return the EXIF orientation. Pillow can do both in one thread at a time only."""
    with _loading[id(picture) // 64 % len(_loading)]:
        _load_pixels(picture)
        try:
            return picture.getexif().get(0x0112, 1)
        except DECODER_ERRORS:  # damaged EXIF is ignored, as in files
            return 1


def _forget_other_threads() -> None:
    _loading[:] = [threading.Lock() for _ in _loading]


after_fork(_forget_other_threads)


def _load_pixels(picture: Image.Image) -> None:
    """Load the pixels in place.

    Pillow 13 garbles an uncompressed TIFF with a rotated orientation that was opened by path: it maps the file into
    memory with the sides already swapped. Without a file name it reads the file instead.
    """
    tags = getattr(picture, "tag_v2", None)
    if not tags:
        picture.load()
        return
    named: Any = picture
    file_name = named.filename
    try:
        named.filename = "" if tags.get(0x0112, 1) in range(5, 9) else file_name
        picture.load()
    finally:
        named.filename = file_name
