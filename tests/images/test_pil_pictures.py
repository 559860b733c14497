"""Pictures of Pillow give what their files give, and stay as they are."""

import io

import numpy as np
import pytest
from PIL import Image

from images.pictures_of_modes import picture_of_mode
from ssd300.images import open_source


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_raw_tiff_opened_by_path_is_turned_once(orientation, photo, encode, tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(encode(photo[..., 0], "TIFF", tiffinfo={0x0112: orientation}))
    with Image.open(path) as picture:
        assert np.array_equal(open_source(picture), open_source(path))
        assert np.array_equal(open_source(picture), open_source(path))  # now that it is loaded
        assert picture.filename == str(path)


def test_a_pil_picture_is_not_changed(photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.open(io.BytesIO(encode(photo, "PNG", exif=exif)))
    open_source(picture)
    assert picture.getexif()[0x0112] == 6
    assert np.array_equal(np.asarray(picture), photo)


@pytest.mark.parametrize("method", [None, Image.Quantize.FASTOCTREE])
def test_palettes_with_alpha(method, photo):
    """What `quantize` makes of a picture with alpha; it is in no file."""
    alpha = Image.fromarray(np.where(photo[..., 0] > 100, 255, 0).astype(np.uint8))
    picture = Image.fromarray(photo)
    picture.putalpha(alpha)
    palette = picture.quantize(64, method)
    white = Image.new("RGBA", palette.size, "white")
    white.alpha_composite(palette.convert("RGBA"))
    assert np.array_equal(open_source(palette), np.asarray(white.convert("RGB")))
    clear = Image.new("P", (2, 1), 1)
    clear.putpalette(bytes((1, 2, 3, 255, 9, 8, 7, 0)), "RGBA")
    assert open_source(clear).tolist() == [[[9, 8, 7]] * 2]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"])
@pytest.mark.parametrize("left", [bytes(257), (1, 2), None, "x", 1.5], ids=str)
def test_a_transparent_color_of_another_mode_is_ignored(left, mode, photo):
    """Pillow's methods keep it when they change the mode."""
    picture = picture_of_mode(photo, mode) if mode != "I" else Image.fromarray(photo[..., 0].astype(np.int32))
    expected = open_source(picture)
    picture.info["transparency"] = left
    assert np.array_equal(open_source(picture), expected)
    assert picture.info == {"transparency": left}
