"""Find the description of a YOLO data set: data.yaml, obj.data, or a list of classes."""

from pathlib import Path

from ssd300.data.files import folders_named, with_suffix
from ssd300.data.parts import Part
from ssd300.data.yolo.class_files import find_class_file
from ssd300.data.yolo.describe import Description, is_description, read_darknet, read_yaml
from ssd300.errors import DatasetError

YAML = (".yaml", ".yml")


def find(path: Path) -> list[Part]:
    """The parts at a path: a .yaml or .data file, or a folder with one."""
    description = _description(path)
    if description is None:
        return []
    return [Part("yolo", split, description.file, description) for split in description.entries]


def _description(path: Path) -> Description | None:
    if not path.is_dir():
        if path.suffix.lower() in YAML:
            return read_yaml(path)
        return read_darknet(path) if path.suffix.lower() == ".data" else None
    files = [file for file in with_suffix(path, *YAML) if is_description(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(f"{path}: several YAML files describe a data set: {names}; give the path of one of them")
    if files:
        return read_yaml(files[0])
    darknet = [file for place in (path, *folders_named(path, "data")) for file in with_suffix(place, ".data")]
    preferred = [file for file in darknet if file.name.casefold() == "obj.data"]
    if preferred or len(darknet) == 1:
        return read_darknet((preferred or darknet)[0])
    return find_class_file(path)
