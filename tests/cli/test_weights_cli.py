"""`ssd300 models`, `ssd300 info` and `ssd300 weights convert`, through the command line."""

import json

import numpy as np
import pytest
import torch

from command import ssd300
from narrow import narrow_network
from ssd300.architecture import architecture
from ssd300.files import sha256_of
from ssd300.labels import ClassList
from ssd300.weights.catalog import CATALOG, load_weights
from ssd300.weights.checkpoint import write_checkpoint
from ssd300.weights.facts import examine
from ssd300.weights.metadata import ModelMetadata

NARROW = pytest.mark.usefixtures("narrow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One state as a published checkpoint (a.pt) and as an ssd300 file (a.safetensors); not to be changed."""
    folder = tmp_path_factory.mktemp("models with a space")
    draw = np.random.default_rng(0)
    with narrow_network():
        shapes = architecture("resnet18", 3).state_shapes()
    # Kernels small enough that the answers are finite: an export is run before it is written.
    state = {
        key: draw.random(shape, np.float32) * np.float32(1e-3 if len(shape) == 4 else 1) if shape else np.array(5)
        for key, shape in shapes.items()
    }
    torch.save({"model": {f"module.{k}": torch.from_numpy(v) for k, v in state.items()}}, folder / "a.pt")
    metadata = ModelMetadata(
        "resnet18",
        ClassList(("cat", "dog"), (3, 8)),
        name="pets",
        licence="MIT",
        training={"data": "pets", "pictures_seen": 7},
        metric={"AP": 0.25, "AP50": 0.5, "dataset": "pets val", "pictures": 9},
    )
    with narrow_network():
        write_checkpoint(folder / "a.safetensors", state, metadata)
    return folder


def test_models_lists_every_name() -> None:
    result = ssd300("models")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [entry.name for entry in CATALOG]
    assert max(map(len, lines)) < 80
    assert "Downloads go to" in result.stderr


def test_models_as_json(own_cache) -> None:
    (own_cache / "resnet18-f37072fd.pth").write_bytes(b"12345")
    rows = {row["name"]: row for row in json.loads(ssd300("models", "--json").stdout)}
    assert rows["imagenet-resnet18"]["state"] == "cached"
    assert rows["imagenet-resnet18"]["size_bytes"] == 5
    assert rows["imagenet-resnet34"]["state"] == "downloadable"
    assert rows["imagenet-resnet34"]["path"] == str(own_cache / "resnet34-b627a593.pth")
    assert rows["nvidia-resnet50-coco"]["url"].startswith("https://api.ngc.nvidia.com/")


@NARROW
def test_info_in_words(folder) -> None:
    result = ssd300("info", folder / "a.safetensors")
    assert (result.returncode, result.stderr) == (0, "")
    for words in (
        sha256_of(folder / "a.safetensors"),
        "float32 100.0 %",
        "in 174 tensors",
        "cat, dog",
        "AP 0.250, AP50 0.500 on 9 pictures of pets val",
        "MIT",
        "training pictures_seen  7",
    ):
        assert words in result.stdout


@NARROW
@pytest.mark.parametrize(("name", "classes"), [("a.safetensors", ["cat", "dog"]), ("a.pt", ["class_1", "class_2"])])
def test_info_as_json(folder, name, classes) -> None:
    report = json.loads(ssd300("info", folder / name, "--json").stdout)
    assert report["sha256"] == sha256_of(folder / name)
    assert report["size_bytes"] == (folder / name).stat().st_size
    assert report["tensors"] == 174
    assert list(report["precision_bytes"]) == ["float32"]
    assert [entry["name"] for entry in report["metadata"]["classes"]] == classes


def test_info_of_a_backbone_says_that_it_detects_nothing(tmp_path) -> None:
    tensors = {"conv1.weight": torch.ones(64, 3, 7, 7), "layer1.0.conv1.weight": torch.ones(1)}
    torch.save(tensors, tmp_path / "resnet.pth")
    result = ssd300("info", tmp_path / "resnet.pth")
    assert "for training, not for detection" in " ".join(result.stdout.split())
    assert json.loads(ssd300("info", tmp_path / "resnet.pth", "--json").stdout)["metadata"] is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.pt", "neither a file nor a known model. Known: default, "),
        ("bad.safetensors", "not a complete safetensors file"),
        ("bad.pt", "not a torch file: it begins with"),
        ("bad.xml", "not an OpenVINO model"),
        ("bad.txt", "expected .safetensors, .pt, .pth, .xml or .onnx"),
    ],
)
def test_info_of_a_bad_file(tmp_path, name, words) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"not a model at all")
    result = ssd300("info", tmp_path / name)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert name in result.stderr


def test_offline_names_the_address_and_the_place(own_cache) -> None:
    result = ssd300("--offline", "info", "nvidia-resnet50-coco")
    assert result.returncode == 2
    assert "the network is forbidden: fetch https://api.ngc.nvidia.com/" in result.stderr
    assert str(own_cache / "nvidia_ssdpyt_amp_200703.pt") in result.stderr
    assert list(own_cache.iterdir()) == []


@NARROW
def test_convert_writes_the_same_state(folder, tmp_path) -> None:
    out = tmp_path / "b.safetensors"
    result = ssd300("weights", "convert", folder / "a.pt", out)
    assert result.returncode == 0, result.stderr
    assert "now `ssd300 export --model" in result.stderr
    assert sha256_of(out) in result.stdout
    expected, _ = load_weights(folder / "a.pt")
    state, metadata = load_weights(out)
    assert all(np.array_equal(state[key], expected[key]) for key in expected)
    assert metadata.parent_sha256 == sha256_of(folder / "a.pt")


@NARROW
@pytest.mark.slow
def test_convert_to_half_keeps_the_metadata(folder, tmp_path) -> None:
    out = tmp_path / "half.safetensors"
    assert ssd300("weights", "convert", folder / "a.safetensors", out, "--half").returncode == 0
    half, whole = (sum(examine(path).precision.values()) for path in (out, folder / "a.safetensors"))  # bytes
    assert half < 0.51 * whole
    metadata = load_weights(out)[1]
    assert (metadata.name, metadata.classes.ids, metadata.metric["AP"]) == ("pets", (3, 8), 0.25)


@NARROW
@pytest.mark.parametrize("given", ["names", pytest.param("file", marks=pytest.mark.slow)])
def test_convert_with_class_names(folder, tmp_path, given) -> None:
    (tmp_path / "names.txt").write_text("Löwe\n\n big cat \n", "utf-8")
    names = "Löwe, big cat" if given == "names" else tmp_path / "names.txt"
    out = tmp_path / "b.safetensors"
    assert ssd300("weights", "convert", folder / "a.pt", out, "--classes", names).returncode == 0
    assert load_weights(out)[1].classes == ClassList(("Löwe", "big cat"), (1, 2))


@NARROW
@pytest.mark.parametrize(
    ("source", "out", "options", "words"),
    [
        ("a.pt", "b.pt", [], "its extension is '.pt', expected .safetensors"),
        ("a.pt", "there.safetensors", [], "exists: choose another name, or pass --force"),
        ("a.pt", "b.safetensors", ["--classes", "cat"], "has 2 classes (without background), --classes gives 1"),
        ("a.pt", "b.safetensors", ["--classes", "cat,cat"], "class names must be unique"),
        ("missing.pt", "b.safetensors", [], "neither a file nor a known model"),
        ("a.pt", "no/b.safetensors", [], "cannot be written"),
    ],
)
def test_convert_refuses(folder, tmp_path, source, out, options, words) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    result = ssd300("weights", "convert", folder / source, tmp_path / out, *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"


@NARROW
@pytest.mark.slow
def test_convert_replaces_a_file_by_force(folder, tmp_path) -> None:
    (tmp_path / "b.safetensors").write_bytes(b"mine")
    result = ssd300("weights", "convert", folder / "a.pt", tmp_path / "b.safetensors", "--force")
    assert result.returncode == 0
    assert load_weights(tmp_path / "b.safetensors")[1].backbone == "resnet18"
