"""`ssd300 export` through its command line."""

import pytest

from command import ssd300

pytestmark = pytest.mark.usefixtures("narrow")


def run(*arguments):
    return ssd300("export", *arguments)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("m.onnx", ["--no-nms", "--dynamic-batch", "--opset", "19", "--half"], marks=pytest.mark.slow),
        ("m.onnx", ["--conf", "0.3", "--iou", "0.4", "--max-detections", "10", "--input", "float"]),
        ("m.xml", ["--half"]),
        pytest.param("m.safetensors", ["--format", "safetensors", "--half"], marks=pytest.mark.slow),
        ("m.safetensors", ["--classes", "a,b,c,d"]),
        pytest.param("m.pt2", ["--dynamic-batch"], marks=pytest.mark.slow),
    ],
)
def test_writes_verified_files(name, options, narrow_checkpoint, tmp_path):
    result = run("--model", narrow_checkpoint, "--out", tmp_path / name, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{tmp_path / name}\n"
    assert "boxes differ by at most" in result.stderr
    assert "detections equal:" in result.stderr
    assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "m.tflite"], "extension .onnx, .xml, .safetensors, .pt2"),
        (["--out", "m.onnx", "--format", "pt2"], "extension .pt2"),
        (["--out", "m.xml", "--opset", "18"], "--opset is for onnx, not for openvino"),
        (["--out", "m.safetensors", "--no-nms"], "--nms is for onnx"),
        (["--out", "m.onnx", "--classes", "a"], "--classes is for safetensors, not for onnx"),
        (["--out", "m.safetensors", "--classes", "a"], "has 4 classes (without background), --classes gives 1"),
        (
            ["--out", "m.safetensors", "--classes", "a," * 200],
            "has 4 classes (without background), --classes gives 200",
        ),
        (["--out", "m.safetensors", "--int8"], "--int8 is for onnx, openvino, triton and ovms, not for safetensors"),
        (
            ["--out", "m.x", "--format", "ovms", "--dynamic-batch"],
            "--dynamic-batch is for onnx, pt2 and triton",
        ),
        (["--out", "m.onnx", "--int8"], "holds no INT8 ranges; make them with `ssd300 quantize"),
        (["--out", "m.onnx", "--no-nms", "--conf", "0.3"], "--score-threshold is fixed"),
        (["--out", "m.onnx", "--opset", "9"], "opset is 9: expected 17 to"),
        (["--out", "m.onnx", "--conf", "3"], "score_threshold must be"),
        (["--out", "no such folder/m.onnx"], "cannot be written"),
    ],
)
def test_what_does_not_go_together_is_said(options, words, narrow_checkpoint, tmp_path):
    options = [tmp_path / o if "m." in o else o for o in options]
    result = run("--model", narrow_checkpoint, *options)
    assert result.returncode == 2
    assert words in result.stderr
    assert not any(tmp_path.iterdir())


def test_writes_a_model_repository_once(narrow_checkpoint, tmp_path):
    command = ["--model", narrow_checkpoint, "--out", tmp_path / "r", "--format", "triton"]
    result = run(*command)
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'r'}\n"), result.stderr
    names = {path.name for path in (tmp_path / "r").rglob("*") if path.is_file()}
    assert names == {"config.pbtxt", "labels.txt", "model.onnx"}
    again = run(*command)
    assert again.returncode == 2
    assert "needs a new or an empty folder" in again.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_never_over_the_model_itself(narrow_checkpoint):
    before = narrow_checkpoint.read_bytes()
    result = run("--model", narrow_checkpoint, "--out", narrow_checkpoint)
    assert result.returncode == 2
    assert "is the model itself" in result.stderr
    assert narrow_checkpoint.read_bytes() == before
