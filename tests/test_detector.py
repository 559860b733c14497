import io
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrow import load_narrow
from ssd300 import ArgumentError, ClassList, Detections, DetectOptions, Detector, ModelError

PICTURES = Path(__file__).parent / "parity" / "data" / "pictures"
PHOTO = PICTURES / "chelsea_wide.png"


@pytest.fixture(scope="module")
def detector(narrow_checkpoint):
    return load_narrow(narrow_checkpoint, precision="f32")


@pytest.fixture(scope="module")
def photo():
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def blocks(seed):
    return np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8).repeat(50, 0).repeat(50, 1)


def test_nothing_found(detector, photo):
    found = detector.detect(photo, score_threshold=1.0)
    assert found == Detections.empty(detector.classes, photo.shape[:2], found.source)


def test_boxes_are_pixels_of_the_original(detector, photo):
    """Twice as wide: what the network sees is nearly the same, the boxes are twice as wide."""
    height, width = photo.shape[:2]
    found = detector.detect(photo)
    wide = detector.detect(photo.repeat(2, 1))
    assert len(found) > 3
    assert wide.image_size_hw == (height, 2 * width)
    np.testing.assert_allclose(wide.boxes_xyxy[0], found.boxes_xyxy[0] * [2, 1, 2, 1], atol=0.02 * width)


def test_every_kind_of_source_gives_the_same(detector, photo):
    found = detector.detect(PHOTO)
    assert found.source == str(PHOTO)
    data = PHOTO.read_bytes()
    for source in (str(PHOTO), data, io.BytesIO(data), Image.open(PHOTO), photo, photo.astype(np.float32) / 255):
        same = detector.detect(source)
        np.testing.assert_array_equal(same.boxes_xyxy, found.boxes_xyxy)
        np.testing.assert_array_equal(same.scores, found.scores)
        np.testing.assert_array_equal(same.class_ids, found.class_ids)


def test_frames_of_opencv(detector, photo):
    found, wrong = detector.detect(photo[..., ::-1], color="bgr"), detector.detect(photo[..., ::-1])
    np.testing.assert_array_equal(found.scores, detector.detect(photo).scores)
    assert not np.array_equal(wrong.scores, found.scores)


def test_a_higher_score_threshold_is_a_filter(detector, photo):
    found = detector.detect(photo, score_threshold=0.2)
    assert detector.detect(photo, score_threshold=0.6) == found[found.scores > np.float32(0.6)]
    assert detector.detect(photo, score_threshold=0.2, max_detections=3) == found[:3]


def test_labels_filter(detector, photo):
    found = detector.detect(photo, score_threshold=0.05)
    kinds = set(found.names)
    assert len(kinds) > 1
    for name in kinds:
        expected = found[np.array([n == name for n in found.names])]
        assert detector.detect(photo, score_threshold=0.05, labels=[name, name]) == expected
        assert detector.detect(photo, score_threshold=0.05, labels=name) == expected
        assert detector.detect(photo, score_threshold=0.05, labels=[name], max_detections=2) == expected[:2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": 40}, "score_threshold must be a number from 0 to 1, got 40"),
        ({"iou_threshold": None}, "iou_threshold must be a number from 0 to 1, got None"),
        ({"max_detections": 0}, "max_detections must be a whole number of at least 1, got 0"),
        ({"labels": []}, "labels is empty: give names or ids, or None for all"),
        ({"labels": ["persn"]}, "unknown class name 'persn': did you mean 'person'"),
        ({"labels": [2]}, "unknown class id '2': Known: 1, 18, 10, 900"),
        ({"labels": "2"}, "unknown class id '2': Known: 1, 18, 10, 900"),
        ({"labels": [1.5]}, r"labels must be class names or ids, got \[1.5\]"),
        ({"labels": True}, "labels must be class names or ids, got True"),
        ({"clip": 1}, "clip must be True or False, got 1"),
        ({"color": "gbr"}, "unknown color 'gbr'"),
        ({"decode": "quick"}, "unknown decode 'quick': "),
        ({"conf": 0.5}, "unknown option 'conf': Known: score_threshold, "),
        ({"options": 0.5}, "options must be a DetectOptions, got 0.5: name single ones, score_threshold=0.5"),
    ],
)
def test_wrong_settings(options, message, detector, photo):
    with pytest.raises(ArgumentError, match=message):
        detector.detect(photo, **options)


def test_options_in_numbers_of_numpy_are_plain():
    given = DetectOptions(np.float32(0.25), np.float16(0.5), np.int64(9), clip=np.bool_(True), color=np.str_("bgr"))
    plain = DetectOptions(0.25, 0.5, 9, clip=True, color="bgr")
    assert json.dumps(vars(given)) == json.dumps(vars(plain))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "openvin"}, "unknown runtime 'openvin': did you mean 'openvino'"),
        ({"runtime": "onnx"}, "runtime onnx does not read .safetensors files; use openvino or torch"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"precision": None}, "unknown precision None: Known: auto, f32, bf16, int8"),
        ({"precision": "int8"}, "holds no INT8 ranges; make it with `ssd300 quantize"),
        ({"threads": np.int64(0)}, "threads must be a whole number of at least 1, or None for all allowed, got 0"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
        ({"device": "cuda", "runtime": "openvino"}, "device cuda: openvino runs on the CPU"),
    ],
)
def test_what_cannot_be_loaded_is_said(options, message, seeded_checkpoint):
    with pytest.raises(ArgumentError, match=message):
        Detector.load(seeded_checkpoint, **options)


@pytest.mark.parametrize("option", [{"threads": 1}, {"precision": "int8"}, {"runtime": "torch"}, {"device": "cuda"}])
def test_a_runtime_takes_no_options_of_loading(option, detector):
    with pytest.raises(ArgumentError, match="a Runtime is loaded already: runtime, precision, device, threads are for"):
        Detector(detector.runtime, **option)


@pytest.mark.parametrize("names", ["cat", [1, 2], [None], None, 7])
def test_class_names_are_a_list_of_texts(names):
    with pytest.raises(ArgumentError, match="class names must be a list of texts"):
        ClassList.from_names(names)
    with pytest.raises(ArgumentError, match="class names must be a list of texts"):
        ClassList(names, (1, 2, 3))


@pytest.mark.parametrize("ids", [(1.7,), ("1",), (True,), (None,), (2**63,), 1, None])
def test_class_ids_are_whole_numbers(ids):
    with pytest.raises(ArgumentError, match="class ids must be a list of whole numbers"):
        ClassList(("cat",), ids)


@pytest.mark.parametrize("ids", [[], [1, 2], range(1, 3), np.array([1, 2]), (np.int64(1), np.int32(2))])
def test_a_class_list_of_lists_and_arrays_is_that_of_tuples(ids):
    names = ["cat", "dog"][: len(ids)]
    plain = ClassList(tuple(names), (1, 2)[: len(ids)])
    assert ClassList(names, ids) == ClassList(np.array(names, str), ids) == plain == ClassList.from_names(iter(names))
    assert hash(ClassList(names, ids)) == hash(plain)


@pytest.mark.parametrize(("label", "position"), [(np.int64(9), 1), (np.str_("CAT"), 0), ("9", 1)])
def test_classes_are_found_by_numbers_of_numpy_too(label, position):
    assert ClassList(("cat", "dog"), (7, 9)).position_of(label) == position


@pytest.mark.parametrize("label", ["\u00c9t\u00e9", "E\u0301te\u0301", "e\u0301te\u0301"])
@pytest.mark.parametrize("name", ["\u00c9t\u00e9", "E\u0301te\u0301"])
def test_classes_are_found_whether_accents_are_composed_or_not(label, name):
    """Names that were taken from those of files on a Mac have accents of their own."""
    assert ClassList(("cat", name), (7, 9)).position_of(label) == 1


@pytest.mark.parametrize("label", [None, 9.5, np.int64(8), [7]])
def test_what_is_no_class_is_refused(label):
    with pytest.raises(ArgumentError, match="unknown class "):
        ClassList(("cat", "dog"), (7, 9)).position_of(label)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"neither a file nor a known model \(looked from .*'default'\? Known: default"
    ):
        Detector.load("defalt")
    for name, words in (("empty", r"\.safetensors, \.pt"), ("run", "give .*run/best.safetensors")):
        (tmp_path / name).mkdir()
        (tmp_path / "run" / "best.safetensors").touch() if name == "run" else None
        with pytest.raises(ModelError, match=rf"{name}: a folder, expected a model file in it \({words}"):
            Detector.load(tmp_path / name)
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model\.h5: its extension is '\.h5', expected a model: \.safetensors, "):
        Detector.load(tmp_path / "model.h5")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [16, pytest.param(200, marks=pytest.mark.slow)])
def test_eight_threads_give_what_one_gives(count, detector):
    pictures = [blocks(seed) for seed in range(count)]
    expected = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detector.detect, pictures)) == expected


def test_it_pickles_as_what_it_was_loaded_with(seeded_checkpoint, photo, monkeypatch):
    monkeypatch.chdir(seeded_checkpoint.parent)
    detector = Detector.load(seeded_checkpoint.name, precision="f32", threads=np.int64(1))
    data = pickle.dumps(detector)
    assert len(data) < 1000
    monkeypatch.chdir("/")
    again = pickle.loads(data)
    assert (again.runtime.precision, again.runtime.threads) == ("f32", 1)
    assert again.detect(photo) == detector.detect(photo)


FORKING = """
import os, signal, sys
from ssd300 import Detector, ModelError

before = Detector.load(sys.argv[1], precision="f32", threads=1)
if sys.argv[2] == "dropped":
    del before
if os.fork() == 0:
    signal.alarm(60)  # if it should hang after all
    try:
        print(Detector.load(sys.argv[1], precision="f32", threads=1))
    except ModelError as error:
        print(error)
    before = None
    sys.exit(3)
print("ended with", os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("before", "answer"), [("kept", "Detector("), ("dropped", "load with other threads, or start")]
)
def test_a_forked_child_loads_its_own_or_is_told_why_not(before, answer, seeded_checkpoint):
    """OpenVINO would wait for threads of the parent for ever: to load, to destroy a model, and at the end."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(seeded_checkpoint), before]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert answer in out
    assert "ended with 3\n" in out


def test_a_name_pickles_as_a_name_beside_a_file_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert repr(pickle.loads(pickle.dumps(Detector.load(threads=1)))).startswith("Detector('default'")


def test_only_what_was_loaded_can_be_pickled(detector):
    with pytest.raises(TypeError, match=r"only a Detector made by Detector\.load can be pickled"):
        pickle.dumps(Detector(detector.runtime))


def test_spawned_processes_give_the_same(seeded_checkpoint, photo):
    detector = Detector.load(seeded_checkpoint, precision="f32")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(detector.detect, [photo, photo]) == [detector.detect(photo)] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_a_clear_error(detector, photo):
    detector.detect(photo)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # if it should hang after all
        try:
            detector.detect(photo)
        except ModelError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        message = answer.read()
    os.waitpid(child, 0)
    assert "loaded before the process was forked" in message
    assert 'multiprocessing.get_context("spawn")' in message
