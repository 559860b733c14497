"""The published hub interface: what it keeps, and where it is deliberately better (docs/compatibility.md)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ssd300.errors import ArgumentError, DownloadError, ModelError
from ssd300.hub import Processing, nvidia_ssd
from ssd300.labels import ClassList
from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint

ROOT = Path(__file__).parents[1]


def test_an_untrained_network_is_in_training_mode_and_shares_nothing():
    first, second = (nvidia_ssd(pretrained=False, backbone="resnet18") for _ in range(2))
    assert first.training
    assert (first.backbone, first.num_classes) == ("resnet18", 81)
    pointers = [{p.data_ptr() for p in network.parameters()} for network in (first, second)]
    assert not pointers[0] & pointers[1]


def test_fp16_halves_all_but_the_batch_norms():
    torch = pytest.importorskip("torch")
    network = nvidia_ssd(False, "fp16", backbone="resnet18", num_classes=3).eval()
    for module in network.modules():
        for tensor in module.parameters(recurse=False):
            assert tensor.dtype == (torch.float32 if isinstance(module, torch.nn.BatchNorm2d) else torch.float16)
    with torch.no_grad():
        locs, logits = network(torch.zeros(1, 3, 300, 300, dtype=torch.float16))
    assert (locs.dtype, logits.dtype) == (torch.float16, torch.float16)
    Processing.decode_results((locs, logits))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_math": "fp32x"}, "unknown model_math 'fp32x': did you mean 'fp32'"),
        ({"model_math": None}, "unknown model_math None: Known: fp32, fp16"),
        ({"pretrained": False, "num_classes": 2.5}, "num_classes is 2.5, expected a whole number"),
        ({"backbone": "resnet81"}, "unknown backbone 'resnet81': did you mean 'resnet18'"),
        ({"backbone": "resnet18"}, "published weights exist for resnet50 with 81 classes only, not for resnet18"),
        ({"num_classes": 3}, "not for resnet50 with 3; pass checkpoint=FILE, or pretrained=False"),
    ],
)  # fmt: skip
def test_wrong_arguments(options, message):
    with pytest.raises(ArgumentError, match=message):
        nvidia_ssd(**options)


def test_the_published_weights_are_not_fetched_offline(monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    with pytest.raises(DownloadError, match="nvidia_ssdpyt_amp_200703"):
        nvidia_ssd()


def test_a_checkpoint_is_loaded_whole(tmp_path):
    torch = pytest.importorskip("torch")
    trained = nvidia_ssd(pretrained=False, backbone="resnet18", num_classes=3)
    state = {key: value.numpy() for key, value in trained.state_dict().items()}
    file = tmp_path / "two.safetensors"
    write_checkpoint(file, state, ModelMetadata("resnet18", ClassList.from_names(["a", "b"])))
    published = tmp_path / "two.pt"
    torch.save({"epoch": 3, "model": {f"module.{k}": v for k, v in trained.state_dict().items()}}, published)
    for checkpoint in (file, str(published)):
        loaded = nvidia_ssd(backbone="resnet18", num_classes=3, checkpoint=checkpoint)
        for key, value in loaded.state_dict().items():
            torch.testing.assert_close(value, trained.state_dict()[key], rtol=0, atol=0)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    state = {k: v.numpy() for k, v in nvidia_ssd(False, backbone="resnet18", num_classes=3).state_dict().items()}
    file = tmp_path / "two.safetensors"
    write_checkpoint(file, state, ModelMetadata("resnet18", ClassList.from_names(["a", "b"])))
    with pytest.raises(ModelError, match=r"holds resnet18 with 3 classes.*pass backbone='resnet18', num_classes=3"):
        nvidia_ssd(checkpoint=file, backbone="resnet50")
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        nvidia_ssd(checkpoint=tmp_path / "none.safetensors")


def test_the_bundled_model_by_its_name():
    network = nvidia_ssd(checkpoint="default")
    assert (network.backbone, network.num_classes) == ("resnet18", 81)


def test_force_reload_downloads_a_checkpoint_by_its_name(monkeypatch, own_cache):
    (own_cache / "nvidia_ssdpyt_amp_200703.pt").write_bytes(b"an old one")
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    with pytest.raises(DownloadError, match="the network is forbidden"):
        nvidia_ssd(checkpoint="nvidia-resnet50-coco", force_reload=True)


def test_offline_it_says_what_to_put_where(monkeypatch, own_cache):
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"fetch https://api.ngc.*put it at .*nvidia_ssdpyt.*checkpoint='default'"):
        nvidia_ssd()


HUB_SCRIPT = """
import sys
sys.path = [p for p in sys.path if p != {src!r}]
import torch
net = torch.hub.load({clone!r}, "nvidia_ssd", pretrained=False, backbone="resnet18", num_classes=3, source="local")
helpers = torch.hub.load({clone!r}, "nvidia_ssd_processing_utils", source="local")
import ssd300
assert ssd300.__file__.startswith({clone!r}), ssd300.__file__
assert len(helpers.get_coco_object_dictionary()) == 80
assert "skimage" not in sys.modules and "matplotlib" not in sys.modules
print(net.num_classes)
"""


def test_torch_hub_loads_from_a_clone_that_was_never_installed(tmp_path):
    pytest.importorskip("torch")
    clone = tmp_path / "a clone"
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "hubconf.py", clone)
    script = HUB_SCRIPT.format(src=str(ROOT / "src"), clone=str(clone))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"
