"""The description of a YOLO data set: a data.yaml, CVAT's and Darknet's obj.data, or a classes.txt beside labels/.

All values are read as text, also class names: YAML would turn `no` into False, `010` into 8 and `12:30` into 750.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ssd300.data.parts import parse_part, part_names
from ssd300.data.reading import contains, lines_of, read_text
from ssd300.data.values import class_name, whole
from ssd300.errors import DatasetError, needs
from ssd300.labels import ClassList
from ssd300.limits import CLASSES, YAML_BYTES

OTHER_KEYS = {"path", "names", "nc", "kpt_shape", "flip_idx", "download", "roboflow", "colors", "channels", "augment"}
_Value = TypeVar("_Value", str, int)
YAML = (".yaml", ".yml")
NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class Description:
    """The description of a set. `fault` is an error of its classes, which reading raises.

    `entries`: part -> folders or lists of pictures, as written; `kpt_shape`: key points after a box; `unused`: messages
    about what is not used.
    """

    file: Path
    classes: ClassList
    entries: dict[str, tuple[str, ...]]
    base: str = ""
    kpt_shape: tuple[int, ...] = ()
    unused: tuple[str, ...] = ()
    fault: str = ""
    root: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of the set: that of the file, unless `root` is given."""
        return self.root or self.file.parent


def is_description(path: Path) -> bool:
    """Whether a YAML file describes a data set: it has `names`, or the place of a part (not `val: true`, nor settings).

    One that cannot be parsed counts if it mentions `names`; others belong to other programs.
    """
    try:
        content = dict(_pairs(path))
    except DatasetError:
        return contains(path, "names") or contains(path, "train:")
    return "names" in content or any(parse_part(key, alone=True) and _is_place(content[key]) for key in content)


def _is_place(node: Any) -> bool:
    return node.tag in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq")


def read_yaml(path: Path) -> Description:
    """Read a data.yaml, which may name no part. Raises DatasetError if it cannot be used."""
    pairs = _pairs(path)
    content = dict(pairs)
    if twice := _repeated(key for key, _ in pairs):
        raise DatasetError(f"{path}: given twice: {', '.join(twice)}; keep one of each")
    _refuse_nameless(path, content)
    keys = [key for key in content if key not in OTHER_KEYS]
    meant = [key for key in keys if parse_part(key, alone=True)]
    entries: dict[str, tuple[str, ...]] = {}
    unused = [key for key in keys if key not in meant]
    for key, part in zip(meant, part_names(meant, alone=True), strict=True):
        listed = _places(content[key])
        if listed is None:
            raise DatasetError(f"{path}: `{key}` must be a folder, a list of pictures, or several of these in [ ]")
        if part in ("train", "trainval", "val", "test"):
            entries |= {part: listed} if listed else {}
        else:
            unused.append(key)
    base = _text(content.get("path"))
    try:
        classes, shape = _classes(path, content), _keypoints(path, content)
    except DatasetError as error:
        return Description(path, ClassList((), ()), entries, base, fault=str(error))
    return Description(path, classes, entries, base, shape, tuple(f"{key!r} of the file is not used" for key in unused))


def _refuse_nameless(path: Path, content: dict[str, Any]) -> None:
    if "names" not in content:
        raise DatasetError(f"{path}: a YOLO data file has `names` (the classes) and `train`, `val` or `test`")


def read_darknet(path: Path) -> Description:
    """Read an obj.data: `names = FILE`, `train = FILE`, one setting per line."""
    lines = (line.partition("=") for _, line in lines_of(read_text(path, "YOLO data file", YAML_BYTES)))
    settings = {key.strip().casefold(): value.strip() for key, equals, value in lines if equals}
    above = path.parent.parent if path.parent.name.casefold() in ("cfg", "data") else path.parent
    given = Path(settings.get("names", "obj.names").replace("\\", "/"))
    tried = [path.parent / given.name, path.parent / given, above / given]
    names_file = next(filter(os.path.isfile, tried), tried[0])
    keys = [key for key in settings if parse_part(key, alone=True)]
    meant = dict(zip(part_names(keys, alone=True), keys, strict=True))
    entries: dict[str, tuple[str, ...]] = {part: (settings[key],) for part, key in meant.items() if settings[key]}
    return Description(path, read_names(names_file), entries, os.path.relpath(above, path.parent))


def read_names(path: Path) -> ClassList:
    """The classes of a classes.txt, where the index of a name is that of its line, also if lines are empty, or YAML."""
    if path.suffix.lower() in YAML:
        content = dict(_pairs(path))
        _refuse_nameless(path, content)
        return _classes(path, content)
    lines = lines_of(read_text(path, "list of class names", YAML_BYTES))
    return _class_list(path, [(number - 1, line) for number, line in lines])


def _class_list(path: Path, pairs: Sequence[tuple[int, str]]) -> ClassList:
    """Names with their indices. Raises DatasetError for an empty list, empty names and duplicates."""
    if len(pairs) > CLASSES:
        raise DatasetError(f"{path}: {len(pairs):,} classes; at most {CLASSES:,} are read")
    names = [class_name(text) or "" for _, text in pairs]
    if not all(names) or not names:
        raise DatasetError(f"{path}: `names` must list the class names, one text each; got {len(pairs)}, one empty")
    if twice := _repeated(names):
        raise DatasetError(f"{path}: class names given twice in `names`: {', '.join(sorted(twice))}")
    indices = tuple(index for index, _ in pairs)
    if _repeated(indices):
        raise DatasetError(f"{path}: an index is given twice in `names`")
    return ClassList(tuple(names), indices)


def _repeated(values: Iterable[_Value]) -> list[_Value]:
    return [value for value, count in Counter(values).items() if count > 1]


def _pairs(path: Path) -> tuple[tuple[str, Any], ...]:
    """The top level of a YAML file: keys (in lower case), which may repeat, and nodes; empty if it is no mapping."""
    with needs("reading a YOLO data.yaml", "data"):
        import yaml
    try:
        return _parse_pairs(read_text(path, "YOLO data file", YAML_BYTES))
    except (yaml.YAMLError, ValueError) as error:
        remedy = "; write / instead of \\ in paths" if "double-quoted scalar" in str(error) else ""
        raise DatasetError(f"{path}: not valid YAML: {' '.join(str(error).split())}{remedy}") from error
    except RecursionError as error:
        raise DatasetError(f"{path}: not a data file: it is nested too deep") from error


@lru_cache(maxsize=1)  # a file is parsed when a set is detected, and again when it is read
def _parse_pairs(text: str) -> tuple[tuple[str, Any], ...]:
    """As `_pairs`. Without libyaml, which is four times as fast but crashes on deep nesting."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return tuple((str(key.value).casefold(), value) for key, value in pairs if isinstance(key, yaml.ScalarNode))


def _text(node: Any) -> str:
    """The text of a scalar as written; empty for anything else."""
    return node.value if node is not None and isinstance(node.value, str) and node.tag != NULL else ""


def _places(node: Any) -> tuple[str, ...] | None:
    """The texts of a scalar or a list of scalars; None for anything else."""
    nodes = node.value if isinstance(node.value, list) else [node]
    if not all(hasattr(one, "value") and isinstance(one.value, str) for one in nodes):
        return None
    return tuple(text for one in nodes if (text := _text(one).strip()))


def _classes(path: Path, content: dict[str, Any]) -> ClassList:
    """`names`, a list or a mapping from index to name. Raises DatasetError."""
    node = content["names"]
    pairs: list[Any] = node.value if isinstance(node.value, list) else []
    if pairs and not isinstance(pairs[0], tuple):
        pairs = list(enumerate(pairs))
    indices = [key if isinstance(key, int) else whole(getattr(key, "value", None)) for key, _ in pairs]
    given = zip(indices, (value.value for _, value in pairs), strict=True)
    texts = [(index, text) for index, text in given if index is not None and isinstance(text, str)]
    if not texts or len(texts) < len(pairs):
        found = node.id  # not its text: with aliases a few lines of YAML can expand to gigabytes
        raise DatasetError(f"{path}: `names` must list the class names, one text each, got a {found} of other things")
    classes = _class_list(path, texts)
    number = _text(content.get("nc"))
    if number and whole(number) != len(classes):
        raise DatasetError(f"{path}: nc is {number:.40}, but `names` has {len(classes)} names")
    return classes


def _keypoints(path: Path, content: dict[str, Any]) -> tuple[int, ...]:
    """`kpt_shape: [points, 2 or 3]`: points * 2 or 3 numbers follow each box; empty if not given."""
    if "kpt_shape" not in content:
        return ()
    shape = tuple(whole(text) or 0 for text in _places(content["kpt_shape"]) or ())
    if len(shape) != 2 or min(shape) < 1:
        raise DatasetError(f"{path}: `kpt_shape` must be [number of points, 2 or 3]")
    return shape
