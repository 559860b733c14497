import json

import numpy as np
import pytest

from ssd300.errors import ArgumentError, ModelError
from ssd300.labels import COCO, ClassList
from ssd300.weights.metadata import ModelMetadata


def plain(**changes) -> dict:
    """The JSON object of a small model, with some fields replaced; None removes one."""
    values = json.loads(ModelMetadata("resnet18", ClassList(("cat",), (5,))).to_json()) | changes
    return {key: value for key, value in values.items() if value is not ...}


def test_a_model_of_one_class_and_nothing_else_survives_json() -> None:
    metadata = ModelMetadata("resnet18", ClassList(("cat",), (5,)))
    assert ModelMetadata.from_json(metadata.to_json()) == metadata
    assert metadata.num_classes == 2


def test_all_fields_survive_json_and_the_text_repeats(metadata) -> None:
    again = ModelMetadata.from_json(metadata.to_json())
    assert again == metadata
    assert again.to_json() == metadata.to_json()
    assert "\n" not in metadata.to_json()


def test_names_in_any_alphabet_survive() -> None:
    metadata = ModelMetadata("resnet18", ClassList(("Löwe", "猫", 'a "b"\n'), (1, 2, 3)))
    assert ModelMetadata.from_json(metadata.to_json()).classes.names == ("Löwe", "猫", 'a "b"\n')


def test_a_folder_s_name_that_is_not_utf_8_is_written() -> None:
    text = ModelMetadata("resnet18", COCO, training={"data": "d\udce9/ü"}).to_json()
    assert "ü" in text.encode().decode()
    assert ModelMetadata.from_json(text).training == {"data": "d\udce9/ü"}


def test_the_preprocessing_is_written_out() -> None:
    preprocessing = plain()["preprocessing"]
    assert preprocessing["size"] == [300, 300]
    assert preprocessing["mean"] == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    ("num_classes", "names"), [(2, ("class_1",)), (4, ("class_1", "class_2", "class_3")), (81, COCO.names)]
)
def test_inferred_metadata_says_so(num_classes, names) -> None:
    metadata = ModelMetadata.inferred("resnet50", num_classes, "a file")
    assert metadata.classes.names == names
    assert "without ssd300 metadata" in metadata.training["note"]


@pytest.mark.parametrize("name", ["", " ", "d\udce9"])
def test_class_names_that_could_not_be_read_again_are_not_written(name) -> None:
    with pytest.raises(ArgumentError, match="half characters, which no file holds: rename it"):
        ModelMetadata("resnet18", ClassList.from_names(["cat", name])).to_json()


@pytest.mark.parametrize("value", [float("nan"), np.float32(1), object(), b"x"])
def test_values_that_json_cannot_hold_are_refused(value) -> None:
    with pytest.raises(ArgumentError, match="plain JSON values without NaN"):
        ModelMetadata("resnet18", COCO, training={"loss": value}).to_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
        ("[]", "not an object"),
        ('{"metric": {"AP": NaN}}', "not JSON (NaN is no finite number"),
        ('{"metric": {"AP": -1e999}}', "-1e999 is no finite number"),
        (f'{{"metric": {{"AP": {"9" * 400}}}}}', "9 is no finite number"),
        ("[" * 51 + "]" * 51, "nested more than 50 deep"),
        ("[" * 50 + "]" * 50, "not an object"),
        (json.dumps(["[" * 60, '\\"{' * 60]), "not an object"),
        ("{}", "'schema_version' is missing; 'architecture' is missing"),
        (json.dumps(plain(schema_version=2)), "schema 2, this ssd300 reads 1: upgrade ssd300"),
        (json.dumps(plain(schema_version=0)), "schema_version is 0, expected 1"),
        (json.dumps(plain(schema_version="1")), "'schema_version' is '1', expected int"),
        (json.dumps(plain(licence=...)), "'licence' is missing"),
        (json.dumps(plain(licence=None)), "'licence' is 'None', expected str"),
        (json.dumps(plain(metric=[1])), "'metric' is '[1]', expected dict"),
        (json.dumps(plain(color="red")), "unknown field 'color'"),
        (json.dumps(plain(architecture={"backbone": "vgg16", "num_classes": 2})), "backbone is 'vgg16', expected one"),
        (json.dumps(plain(architecture={"backbone": "resnet18", "num_classes": 3})), "num_classes is 3 for 1 classes"),
        (json.dumps(plain(architecture={"backbone": [], "num_classes": 2})), "backbone is '[]', expected one of"),
        (json.dumps(plain(preprocessing={"size": [512, 512]})), "preprocessing is {'size': [512, 512]}, expected"),
        (json.dumps(plain(classes=[{"name": "cat"}])), "class 1 is \"{'name': 'cat'}\", expected a name and a whole"),
        (json.dumps(plain(classes=[{"name": "", "id": 1}])), "expected a name"),
        (json.dumps(plain(classes=[{"name": "cat", "id": True}])), "expected a name"),
        (json.dumps(plain(classes=[{"name": "cat", "id": 2**70}])), "expected a name"),
        (json.dumps(plain(classes=[{"name": "\ud800", "id": 1}])), "expected a name"),
        (json.dumps(plain(classes=["cat"])), "class 1 is 'cat'"),
    ],
)
def test_bad_metadata_is_refused(text, words) -> None:
    with pytest.raises(ModelError) as caught:
        ModelMetadata.from_json(text, source="model.safetensors")
    assert words in str(caught.value)
    assert str(caught.value).startswith("model.safetensors: ")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([], "no classes, at least one"),
        ([{"name": "cat", "id": 1}, {"name": "cat", "id": 2}], "class names must be unique; given more than once: cat"),
        ([{"name": "cat", "id": 1}, {"name": "dog", "id": 1}], "class ids must be unique; given more than once: 1"),
    ],
)
def test_class_lists_that_do_not_work_are_refused(classes, words) -> None:
    network = {"backbone": "resnet18", "num_classes": len(classes) + 1}
    with pytest.raises(ModelError) as caught:
        ModelMetadata.from_json(json.dumps(plain(classes=classes, architecture=network)))
    assert words in str(caught.value)
