import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssd300.data.dataset import Annotations, Dataset, Picture, join
from ssd300.errors import ArgumentError, DatasetError
from ssd300.labels import ClassList


def boxes(*class_ids: int) -> Annotations:
    count = len(class_ids)
    return Annotations.of(np.tile([1, 2, 5, 10], (count, 1)), np.array(class_ids, np.int64))


def dataset(name: str, classes: ClassList, *annotations: Annotations) -> Dataset:
    pictures = [Picture(Path(f"{i}.jpg"), i, 20, 20, one, f"{i}.jpg") for i, one in enumerate(annotations)]
    return Dataset(name, classes, tuple(pictures))


CATS = ClassList(("cat", "dog"), (7, 90))


def test_no_boxes() -> None:
    empty = Annotations.empty()
    assert len(empty) == 0
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.boxes_xyxy.dtype == np.float32
    assert empty.class_ids.dtype == np.int64
    assert empty.select(np.zeros(0, bool)) == empty


def test_no_pictures() -> None:
    empty = dataset("none", CATS)
    assert len(empty) == 0
    assert empty.num_boxes == 0
    assert empty.boxes_per_class() == {"cat": 0, "dog": 0}
    assert "0 pictures" in empty.summary()
    assert repr(empty) == f"Dataset({empty.summary()})"


def test_defaults_of_annotations() -> None:
    one = boxes(7)
    assert one.area.tolist() == [32]
    assert one.scores.tolist() == [1]
    assert one.ids.tolist() == [0]
    assert not one.crowd.any()
    assert not one.ignore.any()


def test_select_cuts_every_field_alike() -> None:
    whole = Annotations.of(
        np.arange(12).reshape(3, 4),
        np.array([1, 2, 3]),
        crowd=np.array([True, False, True]),
        ignore=np.array([False, True, False]),
        areas=np.array([1.0, 2.0, 3.0]),
        scores=np.array([0.1, 0.2, 0.3]),
        ids=np.array([5, 6, 7]),
    )
    for index in (np.array([False, True, True]), np.array([1, 2])):
        part = whole.select(index)
        assert part.class_ids.tolist() == [2, 3]
        assert part.crowd.tolist() == [False, True]
        assert part.ignore.tolist() == [True, False]
        assert part.area.tolist() == [2, 3]
        assert part.scores.tolist() == [np.float32(0.2), np.float32(0.3)]
        assert part.ids.tolist() == [6, 7]


def test_boxes_that_do_not_fit_the_class_ids_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"\(1, 4\) for 2 class ids"):
        Annotations.of(np.zeros((1, 4)), np.array([1, 2]))


def test_summary_counts_pictures_without_boxes() -> None:
    assert dataset("pets", CATS, boxes(7, 90), boxes()).summary() == (
        "pets: 2 pictures (1 without boxes), 2 classes; boxes: 2 kept, 0 clipped, 0 refused"
    )


def test_classes_are_mapped_by_name() -> None:
    other = ClassList(("dog", "bird", "cat"), (1, 2, 3))
    moved = dataset("pets", CATS, boxes(7, 90)).with_classes(other)
    assert moved.pictures[0].annotations.class_ids.tolist() == [3, 1]
    assert moved.boxes_per_class() == {"dog": 1, "bird": 0, "cat": 1}


def test_a_class_without_place_is_refused_only_if_it_has_boxes() -> None:
    only_cats = ClassList(("cat",), (1,))
    assert dataset("pets", CATS, boxes(7)).with_classes(only_cats).num_boxes == 1
    with pytest.raises(ArgumentError, match="dog"):
        dataset("pets", CATS, boxes(90)).with_classes(only_cats)


def test_join_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no data set"):
        join([])


def test_join_unites_classes_and_keeps_ids_apart() -> None:
    first = dataset("first", CATS, boxes(7))
    second = dataset("second", ClassList(("bird", "cat"), (90, 1)), boxes(90, 1))
    whole = join([first, second])
    assert whole.name == "first+second"
    assert dict(zip(whole.classes.names, whole.classes.ids, strict=True)) == {"cat": 7, "dog": 90, "bird": 91}
    assert [picture.image_id for picture in whole.pictures] == [0, "second/0"]
    assert whole.pictures[1].annotations.class_ids.tolist() == [91, 7]


def test_join_keeps_ids_apart_in_sets_of_one_name() -> None:
    whole = join([dataset("pets", CATS, boxes(7)) for _ in range(4)])
    assert [picture.image_id for picture in whole.pictures] == [0, "pets/0", "pets/0-2", "pets/0-3"]


def test_subset_keeps_the_order_given() -> None:
    part = dataset("pets", CATS, boxes(7), boxes(), boxes(90)).subset([2, 0], "part")
    assert [picture.image_id for picture in part.pictures] == [2, 0]
    assert part.name == "part"


@pytest.mark.parametrize(
    ("indices", "kept"),
    [
        ([], []),
        ([False] * 3, []),
        ([True, False, True], [0, 2]),
        (np.array([False, True, True]), [1, 2]),
        (np.array([2, 0]), [2, 0]),
        (range(2), [0, 1]),
        (iter([-1]), [2]),
    ],
)
def test_a_subset_is_that_of_positions_or_of_a_mask(indices, kept) -> None:
    part = dataset("pets", CATS, boxes(7), boxes(), boxes(90)).subset(indices)
    assert [picture.image_id for picture in part.pictures] == kept


@pytest.mark.parametrize(
    ("indices", "error", "words"),
    [([3], IndexError, "of 3 pictures"), ([True], ArgumentError, "a mask must"), ([0.5], ArgumentError, "an index")],
)
def test_what_is_no_subset_is_refused(indices, error, words) -> None:
    with pytest.raises(error, match=words):
        dataset("pets", CATS, boxes(7), boxes(), boxes(90)).subset(indices)


def test_a_picture_pickles_small_and_reads(tmp_path: Path, make_picture: Callable[..., Path]) -> None:
    path = make_picture(tmp_path / "a.png", 1)
    picture = Picture(path, 1, 64, 48, boxes(7), "a.png")
    data = pickle.dumps(picture)
    assert len(data) < 2000
    assert pickle.loads(data).read().shape == (48, 64, 3)


def test_a_picture_of_another_size_is_refused(tmp_path: Path, make_picture: Callable[..., Path]) -> None:
    path = make_picture(tmp_path / "a.jpg", 1, orientation=6)
    assert Picture(path, 1, 48, 64, boxes(), "a.jpg").read().shape == (64, 48, 3)
    with pytest.raises(DatasetError, match=r"a\.jpg: the picture is 48x64 .* made for 64x48"):
        Picture(path, 1, 64, 48, boxes(), "a.jpg").read()
