"""The published checkpoints (.pt of the original training and of the hub) and torchvision's ResNets, without torch.

The state may be the whole file or under "model", "state_dict" or "model_state_dict" beside an optimizer's; its keys may
have the prefixes of wrappers: for several GPUs, of compiled and averaged networks. Where averaged weights are beside it
("model_ema", "state_dict_ema", "ema_state_dict", "ema"), they are taken, as timm and ultralytics do: a training that
averages measures and publishes these.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.architecture import BACKBONES, architecture
from ssd300.errors import ModelError
from ssd300.labels import COCO, ClassList
from ssd300.weights.archive import StoredTensor
from ssd300.weights.checkpoint import read_specs, read_tensors
from ssd300.weights.metadata import ModelMetadata, is_class_name
from ssd300.weights.state import (
    COUNTER,
    Shape,
    State,
    TensorSpec,
    check_state,
    check_tensor,
    check_tensor_shapes,
    first_few,
    identify,
)
from ssd300.weights.torch_file import TorchFile, open_torch_file

TORCH_SUFFIXES = (".pt", ".pth")
# Of DistributedDataParallel, as published, and AveragedModel; of torch.compile; of a LightningModule.
_WRAPPERS = ("module.1.", "module.", "_orig_mod.", "model.")
_AVERAGED = "n_averaged"  # AveragedModel's own number beside the state
# Keys under which training scripts save the state: torchvision's, timm's and others' averages, then the weights.
_AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")
_HOMES = ("model", "state_dict", "model_state_dict")
_TRUNK = "feature_extractor.feature_extractor."
_CHILDREN = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6"}  # torchvision's name -> published
_UNUSED = ("layer4", "fc")  # conv5_x and the classifier


def read_published(path: str | Path) -> tuple[State, ModelMetadata]:
    """The state (published keys in published order, float32, counters int64) and metadata of a published checkpoint.

    Backbone and classes are inferred; class names come from the file's `label_map` if it has one, 81 classes are COCO.
    Raises ModelError: not from torch, damaged, with code, or not an SSD300.
    """
    with _open_state(path) as (file, tensors):
        network = identify(str(path), {key: tensor.shape for key, tensor in tensors.items()})
        state = check_state(str(path), {key: file.array(tensors[key]) for key in network.state_shapes()}, network)
        home = _home_of(file.tree)
        found = (
            f"a published checkpoint, its averaged weights ({home})" if home in _AVERAGES else "a published checkpoint"
        )
        metadata = ModelMetadata.inferred(network.backbone, network.num_classes, found)
        return state, _add_label_map(metadata, file.tree, found)


def is_backbone_file(path: str | Path) -> bool:
    """Whether a file has a ResNet with torchvision's names, and not an SSD300. Raises ModelError if unreadable."""
    specs = read_named_specs(path)
    return "conv1.weight" in specs and "layer1.0.conv1.weight" in specs


def read_backbone(path: str | Path, backbone: str | None = None) -> State:
    """The trunk of a torchvision ResNet file (.pt, .pth, .safetensors), under the published `feature_extractor` keys.

    layer4 and fc are optional and dropped; batch counters, missing in old files, become 0.
    Raises ModelError: not readable, not such a file, or of another depth than `backbone` if given.
    """
    specs = read_named_specs(path)
    names = {_published_key(name): name for name in specs if name.split(".")[0] not in _UNUSED}
    found = min(BACKBONES, key=lambda b: len(_trunk_shapes(b).keys() ^ names.keys()))
    expected = _trunk_shapes(found)
    missing_counters = {key: () for key in expected if key.endswith(COUNTER) and key not in names}
    given = {key: specs[name].shape for key, name in names.items()} | missing_counters
    check_tensor_shapes(str(path), given, expected, f"torchvision's {found} (conv1 to layer3)")
    if backbone not in (None, found):
        raise ModelError(f"{path}: its depth is {found}'s, but {backbone} was requested; give a {backbone} file")
    arrays = _read_arrays(path, names.values())
    zero = np.zeros((), np.int64)
    return {key: arrays[names[key]] if key in names else zero.copy() for key in expected}


def _published_key(name: str) -> str:
    child, _, rest = name.partition(".")
    return f"{_TRUNK}{_CHILDREN[child]}.{rest}" if child in _CHILDREN else name


def _trunk_shapes(backbone: str) -> dict[str, Shape]:
    shapes = architecture(backbone, 2).state_shapes()
    return {key: shape for key, shape in shapes.items() if key.startswith(_TRUNK)}


def read_named_specs(path: str | Path) -> dict[str, TensorSpec]:
    """Every tensor of a file of weights (.safetensors, .pt, .pth), in torch's files without wrappers' prefixes.

    Raises ModelError.
    """
    if Path(path).suffix.lower() not in TORCH_SUFFIXES:
        return read_specs(path)
    with _open_state(path) as (_, tensors):
        return {key: TensorSpec(tensor.storage.dtype, tensor.shape) for key, tensor in tensors.items()}


def _read_arrays(path: str | Path, keys: Iterable[str]) -> State:
    if Path(path).suffix.lower() not in TORCH_SUFFIXES:
        return read_tensors(path, keys)
    with _open_state(path) as (file, tensors):
        return {key: check_tensor(str(path), key, file.array(tensors[key])) for key in keys}


@contextmanager
def _open_state(path: str | Path) -> Iterator[tuple[TorchFile, dict[str, StoredTensor]]]:
    """An open torch file and the state in it, wrappers' prefixes removed."""
    with open_torch_file(path) as file:
        state, home = file.tree, _home_of(file.tree)
        state = state[home] if home else state
        if home in _AVERAGES and isinstance(state.get("module"), dict):  # beside the number of updates
            state = state["module"]
        if not isinstance(state, dict) or not state:
            raise ModelError(
                f"{path}: no weights in it: found a {type(state).__name__}, expected a state_dict, alone or under "
                f"{' or '.join(map(repr, _HOMES))}; save it with torch.save({{'model': model.state_dict()}}, FILE)"
            )
        strange = [repr(key) for key, value in state.items() if not isinstance(value, StoredTensor)]
        if strange:
            raise ModelError(
                f"{path}: {len(strange)} of {len(state)} entries{f' of {home!r}' if home else ''} are not tensors "
                f"({first_few(strange)}), expected a state_dict; "
                "save it with torch.save({'model': model.state_dict()}, FILE)"
            )
        state.pop(_AVERAGED, None)
        tensors = {_strip_wrappers(str(key)): tensor for key, tensor in state.items()}
        if len(tensors) != len(state):
            raise ModelError(f"{path}: keys with and without a wrapper's prefix ('module.') are mixed; save it again")
        yield file, tensors


def _home_of(tree: Any) -> str | None:
    """The key under which the file has the state, that of averaged weights first; None: the file is the state."""
    if not isinstance(tree, dict):
        return None
    homes = [key for key in (*_AVERAGES, *_HOMES) if isinstance(tree.get(key), dict)]
    plain = int | float | str | None  # a setting of the averaging, such as its decay
    return next(
        (key for key in homes if key in _HOMES or not all(isinstance(v, plain) for v in tree[key].values())), None
    )


def _strip_wrappers(key: str) -> str:
    while wrapper := next((w for w in _WRAPPERS if key.startswith(w)), None):
        key = key[len(wrapper) :]
    return key


def _add_label_map(metadata: ModelMetadata, tree: Any, found: str) -> ModelMetadata:
    """Class names from the published training's {0: background, 1: name, ...} if it fits; COCO's own names are COCO."""
    labels = tree.get("label_map") if isinstance(tree, dict) else None
    if not isinstance(labels, dict) or set(labels) != set(range(metadata.num_classes)):
        return metadata
    names = [labels[label] for label in range(1, metadata.num_classes)]
    if not all(isinstance(name, str) and is_class_name(name) for name in names) or len(set(names)) != len(names):
        return metadata
    note = f"{found}, without ssd300 metadata: backbone inferred from the tensors, names from label_map"
    classes = COCO if tuple(names) == COCO.names else ClassList.from_names(names)
    return replace(metadata, classes=classes, training={"note": note})
