"""A model as a torch program (.pt2): normalization, network and box decoding, for torch.export.load and AOTInductor."""

import io
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssd300.arrays import UInt8
from ssd300.export.files import verify_export
from ssd300.export.verify import Verification
from ssd300.files import replacing
from ssd300.learn.network import SSD300
from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes
from ssd300.runtime.base import Candidates
from ssd300.runtime.torch import fold_batch_norms, make_network, normalize
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

METADATA_FILE = "ssd300.json"  # inside the .pt2


class Program(nn.Module):
    """uint8 RGB [B, 300, 300, 3] -> boxes_xyxy [B, P, 4] in the unit frame, probabilities [B, K, P]."""

    priors_cxcywh: Tensor

    def __init__(self, network: SSD300) -> None:
        super().__init__()
        self.network = fold_batch_norms(network)
        nn.Module.to(self.network, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.register_buffer("priors_cxcywh", torch.from_numpy(default_boxes()), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        locs, logits = self.network(normalize(pictures))
        offsets, priors = locs.transpose(1, 2), self.priors_cxcywh
        center = offsets[..., :2] * XY_VARIANCE * priors[:, 2:] + priors[:, :2]
        half = (offsets[..., 2:] * WH_VARIANCE).exp() * priors[:, 2:] / 2
        return torch.cat([center - half, center + half], -1), logits.softmax(1)


def export_pt2(
    state: State, metadata: ModelMetadata, path: Path, *, dynamic_batch: bool = False, pictures: Iterable[Any] = ()
) -> Verification:
    """Write a .pt2 without NMS, verified like every export; its metadata is in the extra file `ssd300.json`.

    dynamic_batch: any batch size; else exactly 1. Raises ModelError.
    """
    example = torch.zeros(2 if dynamic_batch else 1, 300, 300, 3, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("B", min=1)},) if dynamic_batch else None
    program = torch.export.export(Program(make_network(state, metadata)).eval(), (example,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the paths of ssd300 on this machine
    packed = io.BytesIO()  # torch requires the extension .pt2, which a temporary name does not have
    torch.export.save(program, packed, extra_files={METADATA_FILE: metadata.to_json()})
    with replacing(path) as temporary:
        temporary.write_bytes(packed.getvalue())
        loaded = torch.export.load(io.BytesIO(temporary.read_bytes())).module()
        return verify_export(state, metadata, None, partial(_run, loaded), pictures, "float32")


@torch.inference_mode()
def _run(program: nn.Module, pictures: UInt8) -> list[Candidates]:
    boxes_xyxy, probabilities = program(torch.from_numpy(np.ascontiguousarray(pictures)))
    return list(zip(boxes_xyxy.numpy(), probabilities.numpy(), strict=True))
