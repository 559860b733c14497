"""The categories of a COCO file as a class list. Duplicate entries are merged; an unused root is left out."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from ssd300.data.notes import Notes
from ssd300.data.values import class_name, whole
from ssd300.errors import DatasetError
from ssd300.labels import ClassList
from ssd300.limits import CLASSES


def read_classes(path: Path, categories: Sequence[Any], annotations: Sequence[Any], notes: Notes) -> ClassList:
    """The class list, with a note for every unused entry. Raises DatasetError if no entry can be used."""
    if len(categories) > CLASSES:
        raise DatasetError(f"{path}: {len(categories):,} categories; at most {CLASSES:,} are read")
    used = {whole(one.get("category_id")) for one in annotations if isinstance(one, dict)}
    entries = _entries(path, categories, notes)
    root = _unused_root(categories, entries, used)
    by_name: dict[str, list[int]] = {}
    for class_id, name in entries:
        by_name.setdefault(name, []).append(class_id)
    kept: dict[int, str] = {}
    for class_id, name in entries:
        same = by_name[name]
        of_boxes = [other for other in same if other in used]
        if class_id == root:
            words = f"category {class_id}, {name!r}, is the unused root of the others; left out"
            notes.add("class left out", "noted", words, path)
        elif class_id == (of_boxes or same)[0]:
            kept[class_id] = name
        elif class_id in used:
            words = f"the name {name!r} is given twice: boxes use the ids {', '.join(map(str, of_boxes))}"
            notes.add("duplicate class", "fault", words, path)
        else:
            words = (
                f"the name {name!r} has the ids {', '.join(map(str, same))}; {class_id} has no boxes and is left out"
            )
            notes.add("class left out", "noted", words, path)
    if not kept:
        raise DatasetError(f'{path}: no usable categories; list each class as {{"id": 1, "name": "cat"}}')
    return ClassList(tuple(kept.values()), tuple(kept))


def _entries(path: Path, categories: Sequence[Any], notes: Notes) -> list[tuple[int, str]]:
    """(id, name) of the valid categories, each once; a fault for the others."""
    entries: dict[int, str] = {}
    for position, category in enumerate(categories):
        given = category if isinstance(category, dict) else {}
        class_id, name = whole(given.get("id")), class_name(given.get("name"))
        if class_id is None or name is None:
            shown = f"{given.get('id', 'none')!r:.40} and {given.get('name', 'none')!r:.40}"
            words = f"category {position} has the id and name {shown}; expected an integer `id` and a text `name`"
            notes.add("malformed entry", "fault", words, path)
        elif class_id not in entries:
            entries[class_id] = name
        elif entries[class_id] != name:
            words = f"category {position}: the id {class_id} is given twice, as {entries[class_id]!r} and {name!r}"
            notes.add("duplicate class", "fault", words, path)
    return list(entries.items())


def _unused_root(categories: Sequence[Any], entries: list[tuple[int, str]], used: set[int | None]) -> int | None:
    """The id of a category without boxes that is the `supercategory` of all others (Roboflow's exports)."""
    given = [one for one in categories if isinstance(one, dict)]
    if not all(isinstance(one.get("supercategory", ""), str | NoneType) for one in given):
        return None
    above = {whole(one.get("id")): one.get("supercategory") for one in given}
    names = {name for class_id, name in entries if class_id == 0 and class_id not in used}
    others = [class_id for class_id, _ in entries if class_id != 0]
    is_root = (
        names and others and above.get(0) in (None, "none", "") and {above.get(other) for other in others} == names
    )
    return 0 if is_root else None
