"""The torch runtime finds what the OpenVINO runtime finds, and folding batch norms changes nothing."""

import os
import signal

import numpy as np
import pytest
import torch

from ssd300.detector import Detector
from ssd300.errors import ArgumentError, ModelError, TrainingError
from ssd300.labels import ClassList
from ssd300.learn.device import Compute, choose_compute
from ssd300.learn.network import SSD300
from ssd300.runtime.torch import TorchRuntime, fold_batch_norms, normalize
from ssd300.weights.metadata import ModelMetadata

pytestmark = pytest.mark.usefixtures("narrow")


def test_no_pictures(narrow_checkpoint):
    runtime = Detector.load(narrow_checkpoint, runtime="torch", precision="f32").runtime
    assert runtime.infer(np.zeros((0, 300, 300, 3), np.uint8)) == []


def test_torch_and_openvino_find_the_same(narrow_checkpoint):
    pictures = np.random.default_rng(0).integers(0, 255, (2, 300, 300, 3), dtype=np.uint8)
    ours, theirs = (Detector.load(narrow_checkpoint, runtime=r, precision="f32") for r in ("torch", "openvino"))
    pairs = zip(ours.runtime.infer(pictures), theirs.runtime.infer(pictures), strict=True)
    for (boxes_a, probabilities_a), (boxes_b, probabilities_b) in pairs:
        np.testing.assert_allclose(probabilities_a, probabilities_b, atol=1e-4)
        sides = np.tile(boxes_b[:, 2:] - boxes_b[:, :2], 2)
        assert (np.abs(boxes_a - boxes_b) <= np.maximum(0.05 / 300, 2e-5 * sides)).all()


def test_folded_network_is_the_same_function():
    torch.manual_seed(0)
    network = SSD300("resnet18", 3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    pictures = normalize(torch.randint(0, 255, (1, 300, 300, 3), dtype=torch.uint8))
    with torch.no_grad():
        for a, b in zip(network.eval()(pictures), fold_batch_norms(network)(pictures), strict=True):
            torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-4)
    assert network.feature_extractor.feature_extractor[1].weight.requires_grad


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("gpu9", "auto", "device is 'gpu9': expected cpu, cuda"),
        ("cpu:" + "9" * 5000, "auto", "expected cpu, cuda"),
        ("cpu", "f16", "precision f16 is for CUDA"),
        ("cpu", "f64", "unknown precision of torch 'f64'"),
    ],
)
def test_what_cannot_be_had(device, precision, message):
    with pytest.raises(ArgumentError) as error:
        choose_compute(device, precision)
    assert message in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for CUDA where there is none")
def test_no_cuda_here():
    with pytest.raises(ArgumentError, match="sees no CUDA device"):
        choose_compute("cuda")


def test_a_device_that_this_torch_cannot_use():
    absent = next(name for name in ("mps", "xpu") if not getattr(torch, name).is_available())
    with pytest.raises(ArgumentError, match=f"device is '{absent}', but this torch .* cannot use it .*: use 'cpu'"):
        choose_compute(absent)


@pytest.mark.parametrize("threshold", [0.1, 0.25])
def test_bf16_loses_nothing_above_the_threshold(threshold):
    """The network stands aside: logits that bf16 holds, whose difference it does not."""
    runtime = TorchRuntime(
        SSD300("resnet18", 2), ModelMetadata("resnet18", ClassList(("cat",), (1,))), precision="bf16"
    )
    generator = torch.Generator().manual_seed(0)
    wanted = found = 0
    for _ in range(20):
        logits = (torch.randn(1, 2, 8732, generator=generator) * 2).bfloat16()
        runtime.network = lambda pictures, logits=logits: (torch.zeros(1, 4, 8732).bfloat16(), logits)
        ((_, probabilities),) = runtime.infer(np.zeros((1, 300, 300, 3), np.uint8), threshold)
        wanted += int((logits.float().softmax(1)[0, 1] > threshold).sum())
        found += int((probabilities[1] > threshold).sum())
    assert found == wanted


@pytest.mark.parametrize("device", ["cpu", None, "CPU", " cpu:0", torch.device("cpu"), torch.device("cpu", 0)])
def test_every_spelling_of_the_cpu(device, narrow_checkpoint):
    assert Detector.load(narrow_checkpoint, device=device, precision="f32").runtime.name == "openvino"
    runtime = Detector.load(narrow_checkpoint, device=device, runtime="torch").runtime
    assert (runtime.device, runtime.batch_size) == (torch.device("cpu"), 1)
    assert runtime.reason


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "", "cuda:", True, 1.5, "cuda:x", b"cpu"])
@pytest.mark.parametrize("runtime", ["auto", "openvino", "torch"])
def test_what_names_no_device(device, runtime, narrow_checkpoint):
    with pytest.raises(ArgumentError, match="expected cpu, cuda, cuda:1 or mps"):
        Detector.load(narrow_checkpoint, device=device, runtime=runtime)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for GPUs where there are none")
@pytest.mark.parametrize(
    "device", ["cuda", "CUDA:0", "cuda:01", 0, "0", torch.device("cuda"), "mps", torch.device("mps"), "xpu"]
)
def test_a_gpu_that_is_not_there(device, narrow_checkpoint):
    with pytest.raises(ArgumentError, match=r"but this torch .*: use 'cpu'"):
        Detector.load(narrow_checkpoint, device=device)
    with pytest.raises(ArgumentError, match="openvino runs on the CPU"):
        Detector.load(narrow_checkpoint, device=device, runtime="openvino")


def test_wrong_pictures_are_refused(narrow_checkpoint):
    runtime = Detector.load(narrow_checkpoint, runtime="torch").runtime
    with pytest.raises(ArgumentError, match=r"expected pictures uint8 \[B, 300, 300, 3\]"):
        runtime.infer(np.zeros((1, 300, 300, 3), np.float32))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("own", [False, True])
def test_a_forked_child_is_refused_or_loads_its_own(own, narrow_checkpoint):
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    detector = Detector.load(narrow_checkpoint, runtime="torch", precision="f32", threads=2)
    expected = detector.detect(picture)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not the handler of the test runner
        signal.alarm(60)  # if it should hang after all
        try:
            if own:
                detector = Detector.load(narrow_checkpoint, runtime="torch", precision="f32")
            os.write(writing, str(len(detector.detect(picture))).encode())
        except ModelError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        message = answer.read()
    os.waitpid(child, 0)
    assert message == str(len(expected)) if own else "loaded before the process was forked" in message


@pytest.mark.parametrize("world", ["", "1", "all"])
def test_a_rank_without_a_world_is_another_programs(world, monkeypatch):
    """Such a process is alone, writes its run, and takes the first GPU."""
    for name, value in {"WORLD_SIZE": world, "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "9"}.items():
        monkeypatch.setenv(name, value)
    assert choose_compute("cpu", "f32").is_first
    monkeypatch.setattr("ssd300.learn.device.default_threads", lambda: 9)
    assert Compute(torch.device("cuda"), "f32").reading_processes() == 8
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match="device is 'cuda:0'"):
        choose_compute("cuda", "f32")


@pytest.mark.parametrize("others", [{}, {"RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "none"}])
def test_a_world_without_its_other_processes(others, monkeypatch):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"WORLD_SIZE": "2"} | others).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=r"WORLD_SIZE is 2, .*cannot join the others \(.*torchrun, or unset"):
        choose_compute("cpu", "f32")


@pytest.mark.parametrize(
    ("asked", "threads"),
    [("", 1), ("2", 2)],  # a number in OMP_NUM_THREADS stays
)
@pytest.mark.parametrize("start", ["train", "detect"])
def test_no_more_threads_than_the_quota_of_a_container(asked, threads, start, narrow_checkpoint, monkeypatch):
    monkeypatch.setattr("ssd300.learn.device.default_threads", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        if start == "train":
            choose_compute("cpu", "f32")
        else:
            Detector.load(narrow_checkpoint, runtime="torch")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
