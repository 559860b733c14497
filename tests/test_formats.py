import csv
import io
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd300 import formats
from ssd300.detections import Detections
from ssd300.digits import Distinct
from ssd300.errors import ArgumentError, MissingExtraError, OutputError
from ssd300.labels import COCO, ClassList

EMPTY = Detections.empty(COCO, (480, 640), "x.png")
TWO = Detections([[10, 20, 30.1, 60], [-4, 0, 700, 5]], [0.9, 0.35], [90, 1], COCO, (480, 640), 'dir/a,"b" ü.jpg')


@st.composite
def any_detections(draw):
    count = draw(st.integers(0, 4))
    number = st.floats(-1e6, 1e6, width=32)
    boxes = np.array(
        draw(st.lists(st.lists(number, min_size=4, max_size=4), min_size=count, max_size=count)), np.float32
    )
    boxes = boxes.reshape(count, 2, 2)
    boxes.sort(axis=1)
    scores = sorted(draw(st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count)), reverse=True)
    ids = draw(st.lists(st.sampled_from(COCO.ids), min_size=count, max_size=count))
    return Detections(boxes.reshape(count, 4), scores, np.array(ids, np.int64), COCO, (480, 640), draw(st.text()))


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("cat",), "cat\n"), (("cat", "two\r\nlines", "dog"), "cat\ntwo lines\ndog\n")]
)
def test_each_class_has_one_line(names, text) -> None:
    assert ClassList.from_names(names).to_lines() == text


def test_empty_in_every_format() -> None:
    assert formats.to_dict(EMPTY) == {"source": "x.png", "width": 640, "height": 480, "detections": []}
    assert json.loads(EMPTY.to_json())["detections"] == []
    assert EMPTY.to_coco() == []
    assert EMPTY.to_csv() == ",".join(formats.CSV_COLUMNS) + "\n"
    assert EMPTY.to_csv(header=False) == ""
    assert EMPTY.to_yolo() == ""


@given(any_detections())
def test_dict_and_json_round_trip(found) -> None:
    assert Detections.from_dict(found.to_dict(), COCO) == found
    assert Detections.from_dict(json.loads(found.to_json()), COCO) == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": None}, "not a row as `to_dict` gives it"),
        ({"detections": [{}]}, "not a row as `to_dict` gives it: KeyError: 'box_xyxy'"),
        ({"detections": [{**TWO.to_dict()["detections"][0], "class_id": 2}]}, "('bicycle',) in `classes`"),
        (
            {"detections": [{**TWO.to_dict()["detections"][0], "class_id": 12}]},
            "class_ids must be ids of the class list",
        ),
        ({"detections": [{**TWO.to_dict()["detections"][0], "class_id": 90.7}]}, "class_ids must be int64, got float"),
        ({"detections": [{**TWO.to_dict()["detections"][0], "class_id": 2**70}]}, "class_ids must be int64, got obj"),
        ({"detections": [{**TWO.to_dict()["detections"][0], "score": "0.9"}]}, "scores must be float32, got <U3"),
        ({"detections": [{**TWO.to_dict()["detections"][0], "box_xyxy": [[1, 2], [3, 4]]}]}, "shape [N, 4], got [1, 2"),
    ],
)
def test_rows_of_another_kind_or_model_are_refused(change, words) -> None:
    with pytest.raises(ArgumentError, match=re.escape(words)):
        Detections.from_dict({**TWO.to_dict(), **change}, COCO)


def test_numbers_are_written_short_and_plain() -> None:
    text = TWO.to_json()
    assert '"score": 0.9, "box_xyxy": [10.0, 20.0, 30.1, 60.0]' in text
    assert "ü" in text
    assert "\n" not in text
    assert TWO.to_json(indent=1).count("\n") > 5


@pytest.mark.filterwarnings("ignore")  # of supervision's own imports
def test_tracks_are_in_every_row() -> None:
    tracked = replace(TWO, track_ids=[5, 6])
    assert [row["track_id"] for row in tracked.to_dict()["detections"]] == [5, 6]
    assert [row["track_id"] for row in tracked.to_coco(1)] == [5, 6]
    assert Detections.from_dict(json.loads(tracked.to_json()), COCO) == tracked
    table = list(csv.DictReader(io.StringIO(tracked.to_csv())))
    assert [row["track_id"] for row in table] == ["5", "6"]
    assert tuple(table[0]) == (*formats.CSV_COLUMNS, "track_id")
    assert tracked.to_pandas()["track_id"].tolist() == [5, 6]
    assert TWO.to_supervision().tracker_id is None


@pytest.mark.filterwarnings("ignore")  # of supervision's own imports
def test_supervision_tells_the_tracks_of_two_classes_apart() -> None:
    import supervision

    classes = ClassList(("car", "dog"), (3, 9))
    frames = [
        Detections([[0, 0, 9, y], [20, 60, 29, 90]], [0.9, 0.8], [3, 9], classes, (100, 100), track_ids=[1, 1])
        for y in (20, 20, 30, 30)
    ]
    line = supervision.LineZone(supervision.Point(0, 50), supervision.Point(100, 50))
    for found in frames:  # both stay on their sides
        line.trigger(found.to_supervision())
    assert (line.in_count, line.out_count) == (0, 0)
    assert frames[0].to_supervision().tracker_id.tolist() == [2, 3]
    alone = Detections([[0, 0, 1, 1]], [0.9], [7], ClassList(("cell",), (7,)), (9, 9), track_ids=[4])
    assert alone.to_supervision().tracker_id.tolist() == [4]


def test_coco_rows() -> None:
    first, second = TWO.to_coco(7)
    named = {"image_id": 7, "file_name": TWO.source}
    assert first == {**named, "category_id": 90, "bbox": [10.0, 20.0, 20.1, 40.0], "score": 0.9}
    assert second["bbox"] == [-4.0, 0.0, 704.0, 5.0]
    json.dumps(TWO.to_coco())


@pytest.mark.parametrize(
    ("source", "image_id"),
    [
        ("000000397133.jpg", 397133),
        ("a/0.png", 0),
        ("b/street 1.jpg", "street 1"),
        ("٣.jpg", "٣"),
        ("-5.jpg", "-5"),
        ("9" * 18 + ".jpg", 10**18 - 1),
        ("9" * 19 + ".jpg", "9" * 19),
        ("https://host/" + "9" * 5000, "9" * 5000),
        ("https://host/000000397133.jpg?key=a.b&to=/c", 397133),
        ("https://host/get?id=7", "get?id=7"),
        ("file:///a%20b/7.jpg", 7),
        ("file:///a/street%201.jpg", "street 1"),
        ("<stdin>", "<stdin>"),
        ("<x>.jpg", "<x>"),
    ],
)
def test_image_id_is_the_number_in_the_file_name(source, image_id) -> None:
    assert formats.image_id_of(source) == image_id


@pytest.mark.parametrize(
    "source", [None, "<BytesIO>", "<socket>", "<12 bytes>", "<array 4x4>", "<tensor 4x4>", "<PIL picture 4x4>"]
)
def test_coco_rows_without_a_name_need_an_image_id(source) -> None:
    nameless = Detections([[0, 0, 1, 1]], [0.5], [1], COCO, (2, 2), source)
    with pytest.raises(ArgumentError, match="pass one"):
        nameless.to_coco()
    assert nameless.to_coco("x")[0]["image_id"] == "x"


def test_the_last_of_many_pictures_of_one_name_is_named_as_fast_as_the_second() -> None:
    keys: list[str] = []
    distinct = Distinct[str](lambda name: keys.append(name) or name)
    assert [distinct("items/front") for _ in range(1000)][-1] == "items/front-1000"
    assert len(keys) <= 3000


@given(any_detections())
def test_csv_round_trips(found) -> None:
    rows = list(csv.DictReader(io.StringIO(found.to_csv(), newline="")))
    assert [row["source"] for row in rows] == [found.source] * len(found)
    assert [int(row["class_id"]) for row in rows] == found.class_ids.tolist()
    assert [row["name"] for row in rows] == list(found.names)
    assert np.array_equal(np.array([row["score"] for row in rows], np.float32), found.scores)
    sides = [[row[side] for side in ("left", "top", "right", "bottom")] for row in rows]
    assert np.array_equal(np.array(sides, np.float32).reshape(-1, 4), found.boxes_xyxy)


@pytest.mark.parametrize("source", ["\r", "\n", "a,b", 'say "x"', "\r\n.jpg"])
def test_csv_keeps_odd_file_names(source) -> None:
    found = Detections([[0, 0, 1, 1]], [0.5], [1], COCO, (2, 2), source)
    (row,) = csv.DictReader(io.StringIO(found.to_csv(), newline=""))
    assert row["source"] == source


def test_yolo_lines_are_dense_normalized_and_cut_to_the_picture() -> None:
    frame = Detections([[64, 48, 192, 144], [-64, 0, 1280, 240]], [1, 0.25], [90, 1], COCO, (480, 640))
    assert frame.to_yolo() == "79 0.2 0.2 0.2 0.2 1\n0 0.5 0.25 1 0.5 0.25\n"
    assert frame.to_yolo(scores=False) == "79 0.2 0.2 0.2 0.2\n0 0.5 0.25 1 0.5\n"


def test_yolo_leaves_out_boxes_outside_and_writes_no_exponents() -> None:
    wide = ClassList(("a",), (5,))
    found = Detections(
        [[1, 1, 1.01, 1.01], [-9, 0, -1, 5], [0, 0, 0, 5], [0, 5, 5, 5]], [0.5] * 4, [5] * 4, wide, (10000, 10000)
    )
    (line,) = found.to_yolo().splitlines()
    assert "e" not in line
    assert [float(word) for word in line.split()] == pytest.approx([0, 1.005e-4, 1.005e-4, 1e-6, 1e-6, 0.5], rel=1e-3)


@given(any_detections())
def test_yolo_round_trips_inside_the_picture(found) -> None:
    inside = found[((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= [640, 480, 640, 480])).all(1)]
    inside = inside[(inside.boxes_xyxy[:, 2:] - inside.boxes_xyxy[:, :2] > 1e-2).all(1)]
    rows = np.array([line.split() for line in inside.to_yolo().splitlines()], float).reshape(-1, 6)
    assert rows[:, 0].tolist() == inside.positions.tolist()
    center, half = rows[:, 1:3] * [640, 480], rows[:, 3:5] * [640, 480] / 2
    assert np.concatenate([center - half, center + half], 1) == pytest.approx(inside.boxes_xyxy, abs=2e-4)
    assert rows[:, 5] == pytest.approx(inside.scores)


@pytest.mark.parametrize("found", [EMPTY, TWO], ids=["empty", "two"])
def test_pandas(found) -> None:
    frame = found.to_pandas()
    assert tuple(frame.columns) == formats.CSV_COLUMNS
    assert len(frame) == len(found)
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert {kinds[name] for name in ("score", "left", "top", "right", "bottom")} == {"float32"}
    assert {kinds[name] for name in ("width", "height", "class_id")} == {"int64"}
    assert {kinds[name] for name in ("source", "name")} == {"object"}
    assert np.array_equal(frame[["left", "top", "right", "bottom"]].to_numpy(), found.boxes_xyxy)
    assert list(frame["name"]) == list(found.names)


@pytest.mark.filterwarnings("ignore")  # of supervision's own imports
@pytest.mark.parametrize("found", [EMPTY, TWO], ids=["empty", "two"])
def test_supervision(found) -> None:
    other = found.to_supervision()
    assert len(other) == len(found)
    assert np.array_equal(other.xyxy, found.boxes_xyxy)
    assert (other.xyxy.dtype, other.confidence.dtype) == (np.float32, np.float32)
    assert other.class_id.tolist() == found.positions.tolist()
    assert other.data["class_name"].tolist() == list(found.names)


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_missing_packages_say_how_to_get_them(package, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"to_{package} needs .* pip install {package}"):
        getattr(TWO, f"to_{package}")()


def test_a_package_that_is_installed_and_broken_gives_its_reason(tmp_path, monkeypatch) -> None:
    (tmp_path / "pandas.py").write_text("raise ImportError('libx.so: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    with pytest.raises(MissingExtraError, match=r"cannot be imported \(libx.so: no such file\): pip install --force"):
        TWO.to_pandas()


@pytest.mark.parametrize("ending", [".json", ".csv", ".txt", ".CSV"])
@pytest.mark.parametrize("found", [EMPTY, TWO], ids=["empty", "two"])
def test_save_exports_by_the_ending(tmp_path, ending, found) -> None:
    path = tmp_path / f"ä b{ending}"
    found.save(str(path))
    writer = {".json": found.to_json, ".csv": found.to_csv, ".txt": found.to_yolo}[ending.lower()]
    assert path.read_text(encoding="utf-8") == writer()


@pytest.mark.parametrize("name", ["x", "x.tiff", "x.jpg.zip"])
def test_save_names_the_known_endings(tmp_path, name) -> None:
    with pytest.raises(
        ArgumentError, match=r"the extension must be one of .jpg, .jpeg, .png, .webp, .json, .csv, .txt"
    ):
        TWO.save(tmp_path / name)


@pytest.mark.parametrize("ending", [".json", ".png"])
def test_save_leaves_the_file_before_whole(tmp_path, ending) -> None:
    from full_disk import files_of_at_most

    path = tmp_path / f"x{ending}"
    path.write_bytes(b"before")
    found = Detections(np.zeros((9, 4)), [0.5] * 9, [1] * 9, COCO, (2, 2))
    with files_of_at_most(20), pytest.raises(OutputError, match=rf"x{ending}: cannot be written: File too large"):
        found.save(path, np.zeros((2, 2, 3), np.uint8))
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {path.name: b"before"}


def test_save_where_nothing_can_be_written(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"gone/x\.json: cannot be written: No such file or directory"):
        TWO.save(tmp_path / "gone" / "x.json")
