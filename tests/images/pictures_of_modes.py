"""The same picture in every mode of Pillow."""

import numpy as np
from PIL import Image


def picture_of_mode(photo, mode):
    if mode == "I;16":
        return Image.fromarray(photo[..., 0].astype(np.uint16) * 251)
    if mode == "F":
        return Image.fromarray(photo[..., 0].astype(np.float32) / 255)
    rgba = np.concatenate([photo, photo[..., :1]], axis=2)
    return Image.fromarray(rgba).convert(mode)
