"""The torch runtime: batch norms folded, channels-last, autocast; for GPUs and for validating while training."""

import copy
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ssd300.architecture import MEAN, STD
from ssd300.boxes import Float32
from ssd300.images.orientation import UInt8
from ssd300.learn.network import SSD300, Residual
from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes


def normalise(pictures: Tensor) -> Tensor:
    """uint8 RGB [B, 300, 300, 3] -> float32 [B, 3, 300, 300], channels-last in memory: (x / 255 - mean) / std."""
    mean = torch.tensor(MEAN, device=pictures.device) * 255
    std = torch.tensor(STD, device=pictures.device) * 255
    return ((pictures.float() - mean) / std).permute(0, 3, 1, 2)


def decode_outputs(locs: Tensor, logits: Tensor, priors_cxcywh: Tensor) -> tuple[Tensor, Tensor]:
    """locs [B, 4, P], logits [B, K, P] -> boxes_xyxy [B, P, 4] in the unit frame, probabilities [B, K, P]."""
    offsets = locs.float().transpose(1, 2)
    centre = offsets[..., :2] * XY_VARIANCE * priors_cxcywh[:, 2:] + priors_cxcywh[:, :2]
    half = (offsets[..., 2:] * WH_VARIANCE).exp() * priors_cxcywh[:, 2:] / 2
    return torch.cat([centre - half, centre + half], -1), logits.float().softmax(1)


def folded(network: SSD300) -> SSD300:
    """A copy for inference: every batch norm folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, Residual):
            for i in range(1, module.depth + 1):
                _fold(module, f"conv{i}", f"bn{i}")
        if isinstance(module, nn.Sequential):
            names = list(module._modules)
            for first, second in pairwise(names):
                if isinstance(module._modules[second], nn.BatchNorm2d):
                    _fold(module, first, second)
    network.requires_grad_(False)
    nn.Module.to(network, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _fold(parent: nn.Module, conv: str, norm: str) -> None:
    layer, batch_norm = getattr(parent, conv), getattr(parent, norm)
    setattr(parent, conv, fuse_conv_bn_eval(layer, batch_norm))
    setattr(parent, norm, nn.Identity())


class TorchNetwork:
    """A trained network as a function of uint8 pictures.

    Args:
        network: any SSD300; it is copied, so training may go on.
        device: "cpu", "cuda", "cuda:1", ...
        precision: "f32", or "bf16" and "f16" for autocast.
        compile: hand the network to `torch.compile`: a slow first call, faster ones after.
    """

    def __init__(self, network: SSD300, device: str = "cpu", precision: str = "f32", compile: bool = False) -> None:
        self.device, self.precision = torch.device(device), precision
        self.network: nn.Module = folded(network).to(self.device)
        if compile:
            self.network = torch.compile(self.network)  # type: ignore[assignment]
        self.priors_cxcywh = torch.from_numpy(default_boxes()).to(self.device)

    @torch.inference_mode()
    def __call__(self, pictures: UInt8) -> tuple[Float32, Float32]:
        """uint8 RGB [B, 300, 300, 3] -> boxes_xyxy [B, P, 4] in the unit frame, probabilities [B, K, P]."""
        dtype = {"bf16": torch.bfloat16, "f16": torch.float16}.get(self.precision)
        context = torch.autocast(self.device.type, dtype) if dtype else nullcontext()
        with context:
            locs, logits = self.network(normalise(torch.from_numpy(np.asarray(pictures)).to(self.device)))
        boxes_xyxy, probabilities = decode_outputs(locs, logits, self.priors_cxcywh)
        return boxes_xyxy.cpu().numpy(), probabilities.cpu().numpy()
