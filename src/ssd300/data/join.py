"""Several data sets as one."""

from collections.abc import Sequence
from dataclasses import replace

from ssd300.data.dataset import Dataset, Picture
from ssd300.digits import numbered
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList


def join(datasets: Sequence[Dataset], name: str | None = None) -> Dataset:
    """Join data sets; a single one stays as it is. Classes are joined by name: the first set's, then new ones.

    If ids of two lists collide, a new name takes the next free id. If image ids collide between the sets, those of
    the later one become "NAME/ID", with -2 and so on if that is taken.
    """
    if not datasets:
        raise ArgumentError("no data set given to join")
    if len(datasets) == 1:
        return datasets[0] if name is None else replace(datasets[0], name=name)
    ids = dict(zip(datasets[0].classes.names, datasets[0].classes.ids, strict=True))
    taken = set(ids.values())
    for other in datasets[1:]:
        for class_name, class_id in zip(other.classes.names, other.classes.ids, strict=True):
            if class_name not in ids:
                ids[class_name] = class_id if class_id not in taken else max(taken) + 1
                taken.add(ids[class_name])
    classes = ClassList(tuple(ids), tuple(ids.values()))
    pictures: list[Picture] = []
    seen: set[int | str] = set()
    for dataset in (d.with_classes(classes) for d in datasets):
        for picture in dataset.pictures:
            clash = picture.image_id in seen
            others = numbered(f"{dataset.name}/{picture.image_id}")  # sets may have one name, too
            unique = next(one for one in others if one not in seen) if clash else picture.image_id
            seen.add(unique)
            pictures.append(replace(picture, image_id=unique) if clash else picture)
    notes = tuple(note for dataset in datasets for note in dataset.notes)
    folders = tuple(dict.fromkeys(folder for dataset in datasets for folder in dataset.folders))
    return Dataset(name or "+".join(d.name for d in datasets), classes, tuple(pictures), notes, folders)
