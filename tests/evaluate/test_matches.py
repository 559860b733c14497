"""Matches of one picture and of all, against pycocotools' own."""

import numpy as np
import pytest

from ssd300.evaluate.matches import match_picture, match_table
from ssd300.labels import ClassList

BOX, FAR = [10, 10, 60, 60], [200, 200, 300, 300]


def test_no_pictures(make):
    table = match_table(make.dataset([], ClassList(("cat",), (1,))), [])
    assert table.first.tolist() == [0, 0]
    assert table.boxes.shape == (0, 1)
    assert table.right.shape == (10, 0)


@pytest.mark.parametrize(
    ("true", "flags", "found", "expected"),
    [
        ([], {}, [], []),
        ([BOX], {}, [], []),
        ([], {}, [BOX], [-1]),
        ([BOX], {}, [BOX], [0]),
        ([BOX], {}, [BOX, BOX], [0, -1]),
        ([BOX, FAR], {}, [FAR, BOX], [1, 0]),
        ([BOX, BOX], {}, [BOX, BOX], [1, 0]),
        ([BOX], {"crowd": [True]}, [BOX, BOX], [0, 0]),
        ([BOX], {"ignore": [True]}, [BOX, BOX], [0, 0]),
        ([BOX, BOX], {"crowd": [True, False]}, [BOX, BOX], [1, 0]),
        ([[20, 20, 20, 20]], {}, [[20, 20, 20, 20]], [-1]),
    ],
    ids=[
        "nothing",
        "missed",
        "nowhere",
        "found",
        "twice",
        "two",
        "last of equals",
        "crowd",
        "ignored",
        "plain first",
        "no area",
    ],
)
def test_one_picture(make, true, flags, found, expected):
    truth = make.annotations(true, [1] * len(true), **flags)
    scores = np.linspace(0.9, 0.5, len(found))
    matches = match_picture(truth, make.result(found, scores, [1] * len(found)))
    assert matches.box_of.shape == (10, len(found))
    assert (matches.box_of == expected).all()


def test_another_class_is_never_found(make):
    assert match_picture(make.annotations([BOX], [1]), make.result([BOX], [0.9], [2])).box_of.max() == -1


def test_only_the_best_100_of_a_class_count(make):
    ids = np.array([1, 2] * 130)
    matches = match_picture(make.annotations(), make.result([BOX] * 260, np.linspace(1, 0.1, 260), ids))
    assert matches.rows.tolist() == list(range(200))


@pytest.mark.parametrize("seed", range(30))
def test_equal_to_pycocotools_match_by_match(make, seed):
    data, results = make.random_case(seed, most_found=400 if seed % 3 == 0 else 40, classes=1 + seed % 4)
    oracle = make.pycocotools_score(data, results)
    table = match_table(data, results)
    place = {class_id: k for k, class_id in enumerate(data.classes.ids)}
    wanted = [[] for _ in data.classes.ids]
    for found in oracle.evalImgs:
        if found is not None and found["aRng"] == [0, 1e10]:
            wanted[place[found["category_id"]]].append(found)
    for k, of_class in enumerate(wanted):
        rows = slice(table.first[k], table.first[k + 1])
        scores = np.concatenate([np.zeros(0), *(f["dtScores"] for f in of_class)])
        order = np.argsort(-scores, kind="stable")
        hit = np.concatenate([np.zeros((10, 0)), *(f["dtMatches"] for f in of_class)], 1)[:, order] > 0
        skip = np.concatenate([np.zeros((10, 0)), *(f["dtIgnore"] for f in of_class)], 1)[:, order] > 0
        assert np.array_equal(table.scores[rows], scores[order])
        assert np.array_equal(table.right[:, rows], hit & ~skip)
        assert np.array_equal(table.unjudged[:, rows], skip)
        assert table.boxes[:, k].sum() == sum(np.count_nonzero(np.array(f["gtIgnore"]) == 0) for f in of_class)
