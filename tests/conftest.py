"""For every test: no socket beyond loopback, and a cache folder of its own. For those that ask: a small model file."""

import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread each, or they hinder one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.name != "posix" and item.get_closest_marker("posix"):
        pytest.skip("FIFOs, devices, signals or a shell of POSIX")


def _check_loopback(host: Any) -> None:
    if host in ("localhost", "", None):
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        pytest.fail(f"a test reached for the network: {host}")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that connects, or resolves a name, beyond this machine; a literal address needs no resolving."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check_loopback(address[0])
        connect(self, address)

    def checked_resolve(host: Any, *args: Any, **options: Any) -> Any:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            _check_loopback(host)
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket, "getaddrinfo", checked_resolve)


@pytest.fixture
def narrow() -> Iterator[None]:
    """Every network of the test has an eighth of the channels; not those of other processes."""
    from narrow import narrow_network

    with narrow_network():
        yield


@pytest.fixture(scope="session")
def new_cache(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes cache folders. `mktemp` alone would look through those of all tests before, for each test anew."""
    root, numbers = tmp_path_factory.mktemp("caches"), count()

    def make() -> Path:
        folder = root / str(next(numbers))
        folder.mkdir()
        return folder

    return make


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, new_cache: Callable[[], Path]) -> Path:
    """A cache folder that no other test and no user shares; SSD300_* settings of the developer are dropped."""
    for name in ("SSD300_OFFLINE", "SSD300_ALLOW_PRIVATE_URLS", "SSD300_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    folder = new_cache()
    monkeypatch.setenv("SSD300_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def one_cache(new_cache: Callable[[], Path]) -> Path:
    return new_cache()


@pytest.fixture
def shared_cache(own_cache: Path, one_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a cache of its own one with all tests that ask for this: the bundled model is compiled once."""
    monkeypatch.setenv("SSD300_CACHE", str(one_cache))


@pytest.fixture(scope="session")
def seeded() -> ModuleType:
    """The module that rebuilds the reference's weights and inputs bit for bit."""
    from parity.data import seeded

    return seeded


@pytest.fixture(scope="session")
def seeded_checkpoint(seeded: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 file with seeded weights and four classes. It finds some 5 to 60 "objects" in any picture."""
    return _write_seeded(tmp_path_factory.mktemp("seeded model") / "seeded.safetensors", seeded, seeded.SEED, bias=8)


@pytest.fixture(scope="session")
def narrow_checkpoint(seeded: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an eighth of the channels. To load it takes `narrow` or `load_narrow`; other processes cannot."""
    from narrow import narrow_network

    with narrow_network():  # with this seed and bias it finds about as many as the wide one
        return _write_seeded(tmp_path_factory.mktemp("narrow model") / "narrow.safetensors", seeded, seed=33, bias=9.5)


def _write_seeded(path: Path, seeded: ModuleType, seed: int, bias: float) -> Path:
    from ssd300.architecture import architecture
    from ssd300.labels import ClassList
    from ssd300.weights.checkpoint import write_checkpoint
    from ssd300.weights.metadata import ModelMetadata

    classes = ClassList(("person", "dog", "traffic light", "Größe"), (1, 18, 10, 900))
    network = architecture("resnet18", len(classes) + 1)
    state = {key: seeded.weight(key, shape, seed) for key, shape in network.state_shapes().items()}
    for head in network.class_heads:
        state[f"{head.key}.bias"][: head.out_channels // network.num_classes] += bias  # or everything is an object
    write_checkpoint(path, state, ModelMetadata("resnet18", classes, name="seeded"))
    return path


@pytest.fixture(scope="session")
def found_again(seeded_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.json and val.json (COCO), eight pictures each. The boxes are what the seeded model finds in
    float, so its AP is high and every change of the model shows."""
    from ssd300.detector import Detector

    detector = Detector.load(seeded_checkpoint, precision="f32", threads=1)
    return _write_found(tmp_path_factory.mktemp("found again"), detector)


@pytest.fixture(scope="session")
def narrow_found_again(narrow_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for the narrow model."""
    from narrow import load_narrow

    detector = load_narrow(narrow_checkpoint, precision="f32", threads=1)
    return _write_found(tmp_path_factory.mktemp("narrow found again"), detector)


def _write_found(folder: Path, detector: Any) -> Path:
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(5)
    categories = [{"id": i, "name": n} for i, n in zip(detector.classes.ids, detector.classes.names, strict=True)]
    for split in ("train", "val"):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for i in range(1, 9):
            cells = int(draw.choice([3, 6, 12]))
            blocks = draw.integers(0, 256, (cells, cells, 3)).repeat(300 // cells, 0).repeat(300 // cells, 1)
            pixels = np.clip(blocks + draw.integers(-25, 26, (300, 300, 3)), 0, 255).astype(np.uint8)
            name = f"{split}{i}.png"
            Image.fromarray(pixels).save(folder / name)
            images.append({"id": i, "file_name": name, "width": 300, "height": 300})
            for found in detector.detect(folder / name, score_threshold=0.3):
                x, y, right, bottom = (float(v) for v in np.clip(found.box_xyxy, 0, 300))
                if right - x > 1 and bottom - y > 1:
                    box = {"bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y), "iscrowd": 0}
                    numbers = {"id": len(annotations) + 1, "image_id": i, "category_id": found.class_id}
                    annotations.append({**numbers, **box})
        text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        (folder / f"{split}.json").write_text(text)
    return folder
