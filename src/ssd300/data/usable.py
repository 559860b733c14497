"""Choose the training and the validation set and check that they can be used; shared by `train` and `data check`."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd300.arrays import Bool
from ssd300.data.dataset import Annotations, Dataset, join
from ssd300.data.files import entries, folders_in, folders_named, is_picture
from ssd300.data.finder import SHARED_FOLDERS
from ssd300.data.load import each_path, find_parts, load_parts, nested
from ssd300.data.notes import LEAST_SCORE
from ssd300.data.parts import Part, parse_part, splits_of, training_parts, validation_parts
from ssd300.data.split import count_shared, groups_of_equal_files, split_dataset
from ssd300.data.values import similar_names
from ssd300.digits import counted
from ssd300.errors import DatasetError

MAX_LOST = 1 / 3  # largest fraction of the boxes of a set that may be left out
ALLOW = "pass --allow-lost to continue"
_MASKS = "in COCO files of CVAT, every mask is a crowd region"


@dataclass(frozen=True)
class UsableSets:
    """A training and a validation set; `messages` for the user are about the choice."""

    train: Dataset
    val: Dataset
    messages: tuple[str, ...]


def usable_sets(
    path: str | Path | Sequence[str | Path],
    val: str | Path | None = None,
    *,
    share: float = 0.2,
    seed: int = 0,
    allow_lost: bool = False,
    min_score: float = LEAST_SCORE,
) -> UsableSets:
    """Training and validation set: given by two paths, by the parts of `path`, or drawn from it with a seed.

    The training part is train, or trainval if there is no train, or the only one. The validation set is `val`, else
    the part val, else a share drawn from the training part: stratified by class, identical files together. Of
    several paths the training parts are joined, and so are the validation parts of those that have one.
    The validation set uses the training set's class list.

    Raises DatasetError if the data cannot be used: no part is for training, an entry has a fault, one of the two sets
    has no object (a crowd region, an ignored box and, for training, one below `min_score` is not), or, unless
    `allow_lost`, more than a third of the boxes was left out or the boxes seem to be in another format.
    """
    train_parts: list[tuple[Part, str | Path]] = []
    val_parts: list[tuple[Part, str | Path]] = []
    messages: list[str] = []
    for one in each_path(path):
        parts = find_parts(one)
        chosen = training_parts(parts, one)
        train_parts += [(part, one) for part in chosen]
        own = [] if val is not None else validation_parts(parts, one, alone=False)
        val_parts += [(part, one) for part in own]
        messages += describe_unused(parts, [*chosen, *own], one)
    if val is not None:
        parts = find_parts(val)
        val_parts = [(part, val) for part in validation_parts(parts, val, alone=True)]
    train, held_out = ([load_parts([part], one) for part, one in parts] for parts in (train_parts, val_parts))
    return arrange(train, held_out, messages, share=share, seed=seed, allow_lost=allow_lost, min_score=min_score)


def arrange(
    train: Sequence[Dataset],
    val: Sequence[Dataset],
    messages: Sequence[str] = (),
    *,
    share: float = 0.2,
    seed: int = 0,
    allow_lost: bool = False,
    min_score: float = LEAST_SCORE,
) -> UsableSets:
    """Join sets and check that they can be used, as `usable_sets`; without `val` draw a share of `train`."""
    whole = join(train)
    refuse_unusable(whole, allow_lost=allow_lost, min_score=min_score)
    names = [name for name, count in whole.boxes_per_class().items() if count]
    sentences = [*messages, *select_messages(whole), *_no_objects(whole, min_score)]
    sentences += [f"{a!r} and {b!r} are two classes; rename one if they mean the same" for a, b in similar_names(names)]
    if val:
        held_out = join(val)
        counts = held_out.boxes_per_class().items()
        if unknown := [name for name, count in counts if count and name not in whole.classes.position_of_name]:
            raise DatasetError(
                f"{held_out.name} has boxes of classes that {whole.name} does not have: {', '.join(unknown)}; move "
                "some of their pictures to training, or remove them"
            )
        refuse_unusable(held_out, allow_lost=allow_lost)
        if both := count_shared(whole, held_out):
            sentences.append(f"{both} pictures of {held_out.name} are also in the training set, which inflates its AP")
        sentences += [words for words in select_messages(held_out) if words not in sentences]
        return UsableSets(whole, held_out.with_classes(whole.classes), tuple(sentences))
    groups = groups_of_equal_files(whole)
    together = sum(len(group) - 1 for group in groups)
    if together:
        sentences.append(
            f"{together} pictures are duplicates (`ssd300 data check --cases FILE` lists them); they stay in one set"
        )
    drawn = split_dataset(whole, share, seed, groups)
    for one, least in zip(drawn, (min_score, 0.0), strict=True):
        if not _count_objects(one, least):
            raise DatasetError(
                f"{one.name}: no object is in the {len(one)} drawn pictures, because few have one; name a set to "
                "validate on (--val), or label more pictures"
            )
    return UsableSets(*drawn, tuple(sentences))


def refuse_unusable(dataset: Dataset, *, allow_lost: bool = False, min_score: float = 0.0) -> None:
    """Raises DatasetError for a set without pictures or objects, or one with too many lost or suspicious boxes."""
    if not dataset.pictures:
        raise DatasetError(f"{dataset.name} has no pictures; add some, or leave this part out of the set")
    if half := next((name for name in dataset.classes.names if re.search("[\ud800-\udfff]", name)), ""):
        raise DatasetError(
            f"{dataset.name}: the class name {half!r} has half characters, which no file holds; rename it"
        )
    actions = Counter(note.action for note in dataset.notes)
    lost, kept = actions["refused"], dataset.num_boxes
    example = next((f" For example {note}" for note in dataset.notes if note.action == "refused"), "")
    odd = next((note.words for note in dataset.notes if note.kind == "suspected box format"), "")
    if odd and not (allow_lost and kept):
        allow = f", or {ALLOW}" if kept else ""
        raise DatasetError(f"{dataset.name}: {odd}; write them as the format requires{allow}")
    if not kept:
        found = f"all {lost} boxes were left out.{example}" if lost else _without_boxes(dataset)
        raise DatasetError(f"{dataset.name}: none of the {len(dataset)} pictures has a box: {found}")
    if lost > MAX_LOST * (lost + kept) and not allow_lost:
        raise DatasetError(
            f"{dataset.name}: {lost} of {lost + kept} boxes were left out, more than a third; fix them, or {ALLOW} "
            f"without them.{example}"
        )
    if not _count_objects(dataset, min_score):
        crowd, ignored = _count(dataset, lambda boxes: boxes.crowd), _count(dataset, lambda boxes: boxes.ignore)
        low = _count(dataset, lambda boxes: boxes.scores < min_score)
        raise DatasetError(
            f"{dataset.name}: none of its {kept} boxes is an object: {crowd} are crowd regions, {ignored} are marked "
            f"ignore or difficult, {low} have a score below {min_score:g}; correct these marks ({_MASKS})"
        )


def _count_objects(dataset: Dataset, min_score: float) -> int:
    """The number of boxes that are neither crowd regions nor ignored, with at least this score."""
    return _count(dataset, lambda boxes: ~boxes.crowd & ~boxes.ignore & (boxes.scores >= min_score))


def _no_objects(dataset: Dataset, min_score: float) -> list[str]:
    """Sentences on the boxes that are neither objects nor background."""
    found = {
        f"have a score below {min_score:g}": _count(dataset, lambda boxes: boxes.scores < min_score),
        f"are crowd regions ({_MASKS})": _count(dataset, lambda boxes: boxes.crowd),
        "are marked ignore or difficult": _count(dataset, lambda boxes: boxes.ignore),
    }
    of = f"of {dataset.num_boxes} boxes"
    return [f"{count} {of} {what}: neither objects nor background" for what, count in found.items() if count]


def _count(dataset: Dataset, mask: Callable[[Annotations], Bool]) -> int:
    """The number of boxes for which `mask` is true."""
    return sum(int(mask(picture.annotations).sum()) for picture in dataset.pictures)


def _without_boxes(dataset: Dataset) -> str:
    found = [note.words for note in dataset.notes if note.kind == "picture without label file"]
    return f"{len(found)} have no label file. For example {found[0]}" if found else "their label files are empty"


def select_messages(dataset: Dataset) -> list[str]:
    """Notes for the user, other than on lost boxes."""
    kinds = ("numbers not used", "class left out", "other class list", "suspected box format")
    messages = [str(note) for note in dataset.notes if note.kind in kinds]
    if unlabeled := sum(note.kind == "picture without label file" for note in dataset.notes):
        words = f"{unlabeled} of {len(dataset)} pictures have no label file and count as without objects"
        messages.append(f"{dataset.name}: {words}")
    folders = {folder: os.path.realpath(folder) for folder in {picture.path.parent for picture in dataset.pictures}}
    files = Counter((folders[one.path.parent], one.path.name, one.payload) for one in dataset.pictures)
    if twice := sum(count > 1 for count in files.values()):
        words = "listed more than once; objects that one of its entries lacks are background there"
        messages.append(f"{dataset.name}: {counted(twice, 'picture')} {words}")
    return messages


def describe_unused(parts: Sequence[Part], used: Sequence[Part], path: str | Path) -> list[str]:
    """Sentences on what is used neither for training nor for validation.

    These are parts of a path, and folders of pictures named as the validation part, for which no labels were found.
    """
    others = [name for name in splits_of(parts) if name not in splits_of(used)]
    sentences = [f"{path}: not used for training: {', '.join(others)}"] if others else []
    if "train" not in splits_of(used) or "val" in splits_of([*parts, *used]):
        return sentences
    places = [place for one in nested(Path(path)) for place in (one, *folders_named(one, *SHARED_FOLDERS))]
    named = [folder for place in places for folder in folders_in(place) if parse_part(folder.name) == "val"]
    inside = {folder: [folder, *folders_named(folder, *SHARED_FOLDERS)] for folder in named}
    filled = [one for one in named if any(is_picture(entry) for place in inside[one] for entry in entries(place))]
    return sentences + [f"{folder} has pictures, but no labels of them were found: not used" for folder in filled]
