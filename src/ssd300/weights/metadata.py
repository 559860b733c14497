"""The metadata of a model: one JSON text, the same in safetensors, OpenVINO IR and ONNX files."""

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ssd300.architecture import BACKBONES, MEAN, STD
from ssd300.errors import ArgumentError, ModelError
from ssd300.labels import COCO, ClassList

SCHEMA_VERSION = 1
PREPROCESSING: dict[str, Any] = {
    "color": "RGB",
    "size": [300, 300],
    "resize": "stretch, bilinear, antialiased",
    "scale": "1/255",
    "mean": list(MEAN),
    "std": list(STD),
}
_DEEPEST = 50  # lists and objects inside others: what reads and shows them calls itself
_OPTIONAL = {"name": str, "training": dict, "metric": dict, "parent_sha256": str}
_REQUIRED = {"schema_version": int, "architecture": dict, "classes": list, "preprocessing": dict, "licence": str}


@dataclass(frozen=True)
class ModelMetadata:
    """A model's description. Schema version 1 fixes the preprocessing, which is included for other readers.

    licence: of the weights, as an SPDX name or text.
    training: data, recipe, pictures_seen, wall_seconds and other facts for reproducing it; only JSON values.
    metric: {"AP": .., "AP50": .., "interval": [low, high], "dataset": .., "pictures": ..}.
    parent_sha256: of the file that this one was made from.
    """

    backbone: str
    classes: ClassList
    name: str | None = None
    licence: str = "unknown"
    training: dict[str, Any] | None = None
    metric: dict[str, Any] | None = None
    parent_sha256: str | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.classes) + 1

    @classmethod
    def inferred(cls, backbone: str, num_classes: int, found: str) -> "ModelMetadata":
        """For a file without metadata: 81 classes are COCO's, others are named class_1, class_2, ...

        found: the kind of file, for the note.

        >>> ModelMetadata.inferred("resnet18", 3, "a published checkpoint").classes.names
        ('class_1', 'class_2')
        """
        coco = num_classes == len(COCO) + 1
        classes = COCO if coco else ClassList.from_names([f"class_{i}" for i in range(1, num_classes)])
        names = "81 classes taken for COCO's" if coco else "class names unknown"
        note = f"{found}, without ssd300 metadata: backbone inferred from the tensors, {names}"
        return cls(backbone, classes, training={"note": note})

    def to_json(self) -> str:
        """One line of JSON; the same metadata gives the same text. Raises ArgumentError for what it cannot hold."""
        if bad := [name for name in self.classes.names if not is_class_name(name)]:
            found = f"the class name {bad[0]!r} is empty or has half characters"
            raise ArgumentError(f"{found}, which no file holds: rename it")
        text = {
            "schema_version": self.schema_version,
            "name": self.name,
            "architecture": {"detector": "ssd300", "backbone": self.backbone, "num_classes": self.num_classes},
            "classes": [{"id": i, "name": n} for i, n in zip(self.classes.ids, self.classes.names, strict=True)],
            "preprocessing": PREPROCESSING,
            "licence": self.licence,
            "training": self.training,
            "metric": self.metric,
            "parent_sha256": self.parent_sha256,
        }
        try:
            line = json.dumps(text, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ArgumentError(f"model metadata must be plain JSON values without NaN: {error}") from error
        # Half characters, as in the path of a folder whose name is not UTF-8, become JSON's escapes.
        return line.encode("utf-8", "backslashreplace").decode()

    @classmethod
    def from_json(cls, text: str, *, source: str = "model metadata") -> "ModelMetadata":
        """Parse the output of `to_json`; `source` is the file's name in messages. Raises ModelError."""
        try:
            values = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
            if _depth(text) > _DEEPEST:
                raise ValueError(f"nested more than {_DEEPEST} deep")
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{source}: its ssd300 metadata is not JSON ({error}); write the file again") from error
        version = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise ModelError(
                f"{source}: written with metadata schema {version}, this ssd300 reads {SCHEMA_VERSION}: upgrade ssd300"
            )
        faults = list(_faults(values)) if isinstance(values, dict) else ["not an object"]
        if faults:
            raise ModelError(f"{source}: bad ssd300 metadata: {'; '.join(faults)}; write the file again")
        return cls(
            values["architecture"]["backbone"],
            _class_list(values["classes"], source),
            licence=values["licence"],
            **{key: values.get(key) for key in _OPTIONAL},
        )


def _finite(text: str) -> float:
    """A number that can be written again. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _depth(text: str) -> int:
    """How deep lists and objects are nested in a JSON text."""
    brackets = re.sub(r'"(?:[^"\\]|\\.)*"|[^][{}]', "", text)
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0)


def _faults(values: dict[str, Any]) -> list[str]:
    faults = [f"{key!r} is missing" for key in _REQUIRED if key not in values]
    faults += [f"unknown field {key!r}" for key in values if key not in _REQUIRED and key not in _OPTIONAL]
    for key, kind in (_REQUIRED | _OPTIONAL).items():
        value = values.get(key)
        absent = key not in values or (value is None and key in _OPTIONAL)
        if not absent and (not isinstance(value, kind) or isinstance(value, bool)):
            faults.append(f"{key!r} is {str(value)[:40]!r}, expected {kind.__name__}")
    if faults:
        return faults
    if values["schema_version"] != SCHEMA_VERSION:
        faults.append(f"schema_version is {values['schema_version']}, expected {SCHEMA_VERSION}")
    network = values["architecture"]
    if network.get("backbone") not in BACKBONES:
        faults.append(f"backbone is {str(network.get('backbone'))[:40]!r}, expected one of {', '.join(BACKBONES)}")
    if network.get("num_classes") != len(values["classes"]) + 1:
        faults.append(f"num_classes is {network.get('num_classes')!r} for {len(values['classes'])} classes")
    if values["preprocessing"] != PREPROCESSING:
        faults.append(f"preprocessing is {str(values['preprocessing'])[:200]}, expected {PREPROCESSING}")
    return faults


def _class_list(entries: list[Any], source: str) -> ClassList:
    names: list[str] = []
    ids: list[int] = []
    for i, entry in enumerate(entries, 1):
        match entry:
            case {"name": str(name), "id": int(class_id)} if is_class_name(name) and _is_id(class_id):
                names.append(name)
                ids.append(class_id)
            case _:
                found = f"class {i} is {str(entry)[:60]!r}, expected a name and a whole number as its id"
                raise ModelError(f"{source}: bad ssd300 metadata: {found}; write the file again")
    if not names:
        raise ModelError(f"{source}: bad ssd300 metadata: no classes, at least one is expected; write the file again")
    try:
        return ClassList(tuple(names), tuple(ids))
    except ArgumentError as error:
        raise ModelError(f"{source}: bad ssd300 metadata: {error}; write the file again") from error


def is_class_name(name: str) -> bool:
    """Whether a text is more than spaces, and has no half characters, which no terminal and no file can hold."""
    return bool(name.strip()) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_id(class_id: int) -> bool:
    return not isinstance(class_id, bool) and abs(class_id) < 2**63
