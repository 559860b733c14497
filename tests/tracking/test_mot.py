import os
from dataclasses import replace

import numpy as np
import pytest
from trackers.eval import evaluate_mot_sequence

from ssd300.detections import Detections
from ssd300.errors import DatasetError
from ssd300.labels import COCO
from ssd300.tracking.mot import mot_lines, read_mot, score_mot
from tracking.scenes import crossing


def write(path, scene, boxes, *, swap_at: int = 0, classes=None) -> None:
    rows = []
    for frame, (ids, xyxy) in enumerate(zip(scene.ids, boxes, strict=True), 1):
        for number, box in zip(ids.tolist(), xyxy.tolist(), strict=True):
            track = number + 1 if not swap_at or frame < swap_at else (number + 1) % len(ids) + 1
            kind = 1 if classes is None else classes[number]
            size = box[2] - box[0], box[3] - box[1]
            rows.append(f"{frame},{track},{box[0]:.3f},{box[1]:.3f},{size[0]:.3f},{size[1]:.3f},1,{kind},1\n")
    path.write_text("".join(rows))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", 0),
        ("1,1,10,20,30,40\n\n2,1,11,20,30,40,0.5\n", 2),
        ("\ufeff1 1 10 20 30 40 1 1 1", 1),
        ("1,-1,10,20,30,40,1,-1,-1,-1\n", 1),
    ],
)
def test_reading(tmp_path, text, rows) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(text, encoding="utf-8")
    tracks = read_mot(path)
    assert len(tracks.frames) == rows
    if rows:
        assert tracks.boxes_xyxy[0].tolist() == [10, 20, 40, 60]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,1,10,20\n", "line 1: expected frame"),
        ("1,1,10,20,30,40\n2,x,1,1,1,1\n", "line 2: expected frame"),
        ("1,1,nan,20,30,40\n", "line 1: expected frame"),
        ("1.5,1,10,20,30,40\n", "line 1: expected frame"),
        ("1,1e300,10,20,30,40\n", "line 1: expected frame"),
        ("1,1,10,20,30,40,1,1,1,1,1\n", "line 1: expected frame"),
        ("1,1,10,20,-30,40\n", "negative size"),
        ("1,1,10,20,30,40\n1,1,50,20,30,40\n", "id 1 twice in frame 1"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, words) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(text)
    with pytest.raises(DatasetError, match=words):
        read_mot(path)


def test_a_file_as_powershell_writes_it(tmp_path) -> None:
    path = tmp_path / "found.txt"
    path.write_text("1,1,10,20,30,40\r\n2,1,11,20,30,40\r\n", encoding="utf-16")
    assert read_mot(path).frames.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "score", "kind"),
    [("", 1, 1), (",0.5", 0.5, 1), (",0.5,3", 0.5, 3), (",0.5,3,0.2", 0.5, 3), (",0.5,3,4,5", 0.5, 1), (",0,-1", 0, 1)],
)
def test_columns_that_may_be_missing(tmp_path, columns, score, kind) -> None:
    (tmp_path / "gt.txt").write_text(f"1,1,10.5,20,30,40{columns}\n")
    tracks = read_mot(tmp_path / "gt.txt")
    assert (tracks.scores.tolist(), tracks.classes.tolist()) == ([score], [kind])


def test_the_last_three_of_ten_columns_are_no_class(tmp_path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,10,20,30,40,1,2.5,7,0\n")
    tracks = read_mot(tmp_path / "gt.txt")
    assert score_mot(tracks, tracks).matches == 1


@pytest.mark.parametrize(
    ("truth", "tracked", "words"),
    [
        ("", "", "of its 0 boxes"),
        ("1,1,10,20,30,40,1,3,1\n", "1,1,10,20,30,40\n", "have the classes 3, and only class 1"),
        ("1,1,10,20,30,40,0,1,1\n", "1,1,10,20,30,40\n", "have the classes none"),
        ("7,1,10,20,30,40\n9,1,1,1,5,5\n", "1,1,10,20,30,40\n", "frames 7 to 9 against 1 to 1"),
    ],
)
def test_a_pair_that_cannot_be_scored_is_refused(tmp_path, truth, tracked, words) -> None:
    (tmp_path / "gt.txt").write_text(truth)
    (tmp_path / "found.txt").write_text(tracked)
    with pytest.raises(DatasetError, match=words):
        score_mot(read_mot(tmp_path / "gt.txt"), read_mot(tmp_path / "found.txt"))


def test_lines_read_back_are_the_tracks(tmp_path) -> None:
    path = tmp_path / "found.txt"
    found = Detections([[1, 2, 3, 5], [10, 20, 30, 60]], [0.9, 0.5], [1, 1], COCO, (99, 99), None, [4, 2])
    frames = [found, found[:0], found[1:]]
    read_back = [Detections.from_dict(frame.to_dict(), COCO) for frame in frames]  # without objects, without ids
    texts = ["".join(mot_lines(one, n) for n, one in enumerate(rows, 1)) for rows in (frames, read_back)]
    path.write_text(texts[0])
    tracks = read_mot(path)
    assert texts[0] == texts[1]
    assert (tracks.frames.tolist(), tracks.ids.tolist()) == ([1, 1, 3], [4, 2, 2])
    assert tracks.boxes_xyxy.tolist() == [[1, 2, 3, 5], [10, 20, 30, 60], [10, 20, 30, 60]]
    assert tracks != read_mot(path)  # results are compared by identity, not by their arrays
    with pytest.raises(DatasetError, match="needs track_ids"):
        mot_lines(replace(found, track_ids=None), 1)


def test_a_name_with_a_nul_is_no_file_of_tracks() -> None:
    with pytest.raises(DatasetError, match="cannot be read as a file of tracks"):
        read_mot("a\0b")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"none\.txt"):
        read_mot(tmp_path / "none.txt")


@pytest.mark.posix
def test_a_pipe_or_folder_is_no_file_of_tracks(tmp_path) -> None:
    os.mkfifo(tmp_path / "gt.txt")
    for path in (tmp_path, tmp_path / "gt.txt"):
        with pytest.raises(DatasetError, match="a folder, device or pipe, not a file of tracks"):
            read_mot(path)


@pytest.mark.parametrize("classes", [None, [1, 2, 3, 7, 8, 12, 1, 1, 1, 1]])
def test_the_scores_are_those_of_the_oracle(tmp_path, classes) -> None:
    scene = crossing(1, objects=10, frames=60)
    draw = np.random.default_rng(2)
    jittered = [boxes + draw.normal(0, 4, boxes.shape) for boxes in scene.truth_xyxy]
    write(tmp_path / "gt.txt", scene, scene.truth_xyxy, classes=classes)
    write(tmp_path / "found.txt", scene, jittered, swap_at=30)
    ours = score_mot(read_mot(tmp_path / "gt.txt"), read_mot(tmp_path / "found.txt"))
    theirs = evaluate_mot_sequence(tmp_path / "gt.txt", tmp_path / "found.txt", metrics=["CLEAR", "HOTA", "Identity"])
    assert ours.hota == pytest.approx(theirs.HOTA.HOTA, abs=1e-9)
    assert ours.idf1 == pytest.approx(theirs.Identity.IDF1, abs=1e-9)
    assert ours.mota == pytest.approx(theirs.CLEAR.MOTA, abs=1e-9)
    assert ours.id_switches == theirs.CLEAR.IDSW


def test_the_command_prints_the_scores(tmp_path, capsys) -> None:
    import json

    from ssd300.cli.evaluate import print_track_scores

    scene = crossing(3, objects=4, frames=10)
    (tmp_path / "gt").mkdir()
    write(tmp_path / "gt" / "gt.txt", scene, scene.truth_xyxy)
    write(tmp_path / "found.txt", scene, scene.truth_xyxy, swap_at=6)
    print_track_scores([str(tmp_path)], tmp_path / "found.txt", as_json=True)
    scores = json.loads(capsys.readouterr().out)
    assert (scores["matches"], scores["id_switches"]) == (40, 4)
    print_track_scores([str(tmp_path / "gt" / "gt.txt")], tmp_path / "found.txt", as_json=False)
    assert "id switches" in capsys.readouterr().out
    row = "{},1,10,20,30,40\n"
    (tmp_path / "from 0.txt").write_text("".join(map(row.format, range(3))))
    print_track_scores([str(tmp_path)], tmp_path / "from 0.txt", as_json=False)
    assert "are the frames of both counted from 1?" in capsys.readouterr().err
    with pytest.raises(DatasetError, match=r"none\.txt"):
        print_track_scores([str(tmp_path / "none.txt")], tmp_path / "found.txt", as_json=True)
