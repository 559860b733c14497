"""Pictures of Pillow give what their files give, and stay as they are."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageSequence

from images.pictures_of_modes import picture_of_mode
from ssd300.errors import ImageError
from ssd300.images import expand, open_source


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_raw_tiff_opened_by_path_is_turned_once(orientation, photo, encode, tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(encode(photo[..., 0], "TIFF", tiffinfo={0x0112: orientation}))
    with Image.open(path) as picture:
        assert np.array_equal(open_source(picture), open_source(path))
        assert np.array_equal(open_source(picture), open_source(path))  # now that it is loaded
        assert picture.filename == str(path)


def test_a_pil_picture_is_not_changed(photo, encode):
    picture = Image.open(io.BytesIO(encode(photo, "PNG", exif=_orientation(6))))
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


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG"])
def test_the_frames_of_an_iterator_are_those_that_it_showed(kind):
    """It goes to the next one in the same object, and pictures are read ahead."""
    plain = [Image.fromarray(np.full((9, 9, 3), value, np.uint8)) for value in (0, 100, 200)]
    file = io.BytesIO()
    plain[0].save(file, kind, save_all=True, append_images=plain[1:])
    with Image.open(file) as picture:
        sources = list(expand(ImageSequence.Iterator(picture)))
        assert [int(open_source(source).mean()) for source in sources] == [0, 100, 200]
        assert {source.name for source in sources} == {"<PIL picture 9x9>"}


def test_one_picture_is_loaded_by_several_threads(photo, encode):
    large = encode(photo.repeat(4, 0).repeat(4, 1), "PNG", exif=_orientation(6))
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool, Image.open(io.BytesIO(large)) as picture:
            shapes = [rgb.shape for rgb in pool.map(open_source, [picture] * 8)]
        assert shapes == [(4 * photo.shape[1], 4 * photo.shape[0], 3)] * 8


def test_a_picture_whose_file_is_closed(photo, encode):
    with Image.open(io.BytesIO(encode(photo, "PNG"))) as picture:
        pass
    with pytest.raises(ImageError, match=r"cannot be loaded .*; if its file is closed .* call its load\(\) first"):
        open_source(picture)


def _orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif
