"""The runtime for GPUs, and for validation during training: batch norms folded, channels-last, autocast."""

import copy
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ssd300.architecture import MEAN, STD
from ssd300.arrays import UInt8
from ssd300.learn.device import autocast, check_device, choose_precision, heed_quota
from ssd300.learn.network import SSD300
from ssd300.postprocess import candidates
from ssd300.runtime.base import Candidates, check_batch, check_process
from ssd300.weights.catalog import load_weights
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

_IMPORTED_BY = os.getpid()
GPU_BATCH = 32  # pictures per call; larger batches hardly raise the rate of a GPU


def channel_scale(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [3] of pixels in 0..255. Copying them synchronizes with a GPU."""
    return torch.tensor(MEAN, device=device) * 255, torch.tensor(STD, device=device) * 255


def normalize(pictures: Tensor, scale: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """uint8 RGB [B, 300, 300, 3] -> float32 [B, 3, 300, 300], channels-last in memory: (x / 255 - mean) / std.

    scale: the `channel_scale` of the device, for repeated calls.
    """
    mean, std = channel_scale(pictures.device) if scale is None else scale
    return ((pictures.float() - mean) / std).permute(0, 3, 1, 2)


def fold_batch_norms(network: SSD300) -> SSD300:
    """A copy for inference: every batch norm folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        for (conv, layer), (norm, batch_norm) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d):
                setattr(module, conv, fuse_conv_bn_eval(layer, batch_norm))
                setattr(module, norm, nn.Identity())
    network.requires_grad_(False)
    nn.Module.to(network, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def load_torch(
    path: Path, *, precision: str = "auto", device: str = "cpu", threads: int | None = None
) -> "TorchRuntime":
    """The torch runtime of a .safetensors, .pt or .pth file. See `Detector.load` for the arguments."""
    state, metadata = load_weights(path)
    _set_threads(threads)
    if threads is None:
        heed_quota()
    return TorchRuntime(make_network(state, metadata), metadata, device=device, precision=precision, threads=threads)


def make_network(state: State, metadata: ModelMetadata) -> SSD300:
    """The network with the weights of a model file."""
    network = SSD300(metadata.backbone, metadata.num_classes)
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()})
    return network


def _set_threads(threads: int | None) -> None:
    """Set torch's threads before anything is computed. A forked child with several threads hangs."""
    if os.getpid() != _IMPORTED_BY:
        torch.set_num_threads(1)
    elif threads is not None:
        torch.set_num_threads(threads)


class TorchRuntime:
    """A network as `runtime.base.Runtime`: uint8 pictures in, candidates out.

    Args:
        network: any SSD300; it is copied, so training may continue.
        device: "cpu", "cuda", "cuda:1", ...
        precision: "f32", "bf16", "f16" (CUDA), or "auto" (see `device.choose_precision`).
        threads: CPU threads, a setting of the whole process; None does not change it.
    """

    name = "torch"

    def __init__(
        self,
        network: SSD300,
        metadata: ModelMetadata,
        *,
        device: str = "cpu",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._pid = os.getpid()
        _set_threads(threads)
        self.metadata, self.threads = metadata, torch.get_num_threads()
        self.device = check_device(device)
        self.precision = choose_precision(self.device, precision)
        self.reason = f"the fastest of this {self.device.type}" if precision == "auto" else "as requested"
        self.batch_size = GPU_BATCH if self.device.type != "cpu" else 1
        self.network: nn.Module = fold_batch_norms(network).to(self.device)

    @torch.inference_mode()
    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        """See `Runtime.infer`."""
        check_process(self._pid, "torch")
        check_batch(pictures)
        if len(pictures) == 0:
            return []
        with autocast(self.device, self.precision):
            locs, logits = self.network(normalize(torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)))
        locs, logits = locs.float(), logits.float()  # a difference rounded to bf16 may fall below the threshold
        margins = logits[:, 1:].amax(1) - logits[:, 0]
        outputs = [tensor.cpu().numpy() for tensor in (locs, logits, margins)]
        return [candidates(loc, logit, margin, score_threshold) for loc, logit, margin in zip(*outputs, strict=True)]

    def for_throughput(self) -> "TorchRuntime":
        """The runtime itself, because torch's threads belong to the whole process."""
        return self
