"""Files of a data set: where a picture may lie and how large it is."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ssd300.errors import DatasetError, ImageError
from ssd300.images.decode import size_hw

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"}
SPLITS = ("train", "val", "test")  # the names that the formats give to parts of a data set


def is_picture(path: Path) -> bool:
    """Whether the name says that it is a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def folder_name(folder: Path) -> str:
    """What a data set in this folder is called: the folder, and the one above where it says little by itself."""
    folder = folder.resolve()
    if folder.name.lower() == "annotations":
        return folder_name(folder.parent)
    says_little = folder.name.lower() in ("split", "train", "val", "valid", "test")
    return f"{folder.parent.name}/{folder.name}" if says_little else folder.name


class PictureFinder:
    """Finds pictures by the names that an annotation file uses, in a few folders, the last successful one first."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(dict.fromkeys(folders))

    @classmethod
    def for_coco(cls, annotation_file: Path) -> "PictureFinder":
        """The usual layouts: pictures beside X.json, in X/ or images/; annotations/instances_X.json with X/."""
        folder, stem = annotation_file.parent, annotation_file.stem
        stems = [stem]
        for prefix in ("instances_", "annotations_", "person_keypoints_"):
            stems += [stem.removeprefix(prefix)] if stem.startswith(prefix) else []
        bases = [folder, folder.parent] if folder.name.lower() in ("annotations", "labels") else [folder]
        folders = [folder]
        for base in bases:
            folders += [base / name for name in stems]
            folders += [base / "images" / name for name in stems]
            folders += [base / "images", base]
        return cls(folders)

    def tried(self, file_name: str) -> list[Path]:
        """Every path at which a picture of this name is looked for."""
        name = Path(file_name.replace("\\", "/"))
        return [folder / name for folder in self._folders]

    def find(self, file_name: str) -> Path | None:
        """The path of the picture, or None."""
        for folder, path in zip(self._folders, self.tried(file_name), strict=True):
            if _is_file(path):
                if folder != self._folders[0]:
                    self._folders.remove(folder)
                    self._folders.insert(0, folder)
                return path
        return None


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # a name that is longer than the disk allows
        return path.is_file()
    return False


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after EXIF orientation, from the header alone. Raises ImageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    height, width = size_hw(data, name=str(path))
    return width, height


def read_text(path: Path, what: str) -> str:
    """The text of a small UTF-8 file. Raises DatasetError naming it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: the {what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the {what} is not UTF-8 text (byte {error.start})") from error
