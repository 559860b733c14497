import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from narrow import load_narrow
from ssd300.benchmark.detecting import STAGES, measure_latency, measure_stages, measure_throughput
from ssd300.benchmark.measure import Budget
from ssd300.benchmark.pictures import find_pictures, write_jpegs
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, ImageError


@pytest.fixture(scope="module")
def detector(narrow_checkpoint) -> Detector:
    return load_narrow(narrow_checkpoint, precision="f32", threads=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_jpegs(tmp_path_factory.mktemp("made"), 2)


def test_no_pictures_is_an_error_or_nothing(detector, tmp_path) -> None:
    assert write_jpegs(tmp_path, 0) == []
    for measure in (measure_latency, measure_throughput, measure_stages):
        with pytest.raises(ArgumentError, match="no pictures"):
            measure(detector, [], Budget(0), 0.4)
    with pytest.raises(ImageError, match="an empty directory"):
        find_pictures(tmp_path)


def test_made_pictures_are_the_same_each_time_and_differ(pictures, tmp_path) -> None:
    again = write_jpegs(tmp_path, 3)
    assert [path.read_bytes() for path in again[:2]] == [path.read_bytes() for path in pictures]
    assert len({path.read_bytes() for path in again}) == 3
    with Image.open(again[0]) as picture:
        assert picture.size == (640, 480)
    assert find_pictures(tmp_path) == again
    assert find_pictures(again[1]) == [again[1]]


def test_latency(detector, pictures) -> None:
    measured = measure_latency(detector, pictures, Budget(0, 3, warmup=1), 0.3)
    (row,) = measured.rows
    assert len(row.timing.seconds) == 3
    expected = [len(detector.detect(path, score_threshold=0.3)) for path in (*pictures, pictures[0])]
    assert measured.facts["objects a picture"] == pytest.approx(np.mean(expected))


def test_throughput_is_a_share_of_the_network_alone(detector, pictures) -> None:
    measured = measure_throughput(detector, pictures, Budget(0, 5, warmup=0), 0.4)
    ours, alone = measured.rows
    assert len(ours.timing.seconds) == len(alone.timing.seconds) == 5
    assert measured.facts == {"pictures detected in": 5}
    assert ours.share == pytest.approx(ours.timing.rate / alone.timing.rate)


def test_stages_add_up_to_the_whole(detector, pictures) -> None:
    rows = {row.name: row for row in measure_stages(detector, pictures, Budget(0, 3, warmup=1), 0.4).rows}
    assert list(rows) == [*STAGES, "all but the network", "file to Detections"]
    assert sum(rows[name].share for name in STAGES) == pytest.approx(1)
    assert rows["all but the network"].share == pytest.approx(1 - rows["network"].share)
    total = np.sum([rows[name].timing.seconds for name in STAGES], axis=0)
    assert rows["file to Detections"].timing.seconds == pytest.approx(total)
    assert all(row.core_ms >= 0 for row in rows.values())


def test_the_stages_are_those_of_detect(detector, pictures, monkeypatch) -> None:
    """What is timed in parts finds the same objects as a path given to `detect`."""
    found, detect = [], Detector.detect
    monkeypatch.setattr(Detector, "detect", lambda *a, **k: found.append(detect(*a, **k)) or found[-1])
    measure_stages(detector, pictures, Budget(0, 2), 0.3)
    for ours, path in zip(found, pictures, strict=True):
        expected = detect(detector, path, score_threshold=0.3)
        assert np.array_equal(ours.boxes_xyxy, expected.boxes_xyxy)
        assert np.array_equal(ours.scores, expected.scores)


def test_detecting_is_measured_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ssd300.benchmark import detecting, measure, pictures\n"
        "from ssd300.detector import Detector\n"
        "try: Detector.load(runtime='torch')\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout
        == 'the torch runtime needs packages that are not installed: pip install ".[train]" in a clone of ssd300\n'
    )
