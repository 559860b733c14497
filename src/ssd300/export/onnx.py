"""A model as one ONNX file: normalization, network, box decoding and the published rule of selection inside.

    pictures -> onnx_network.py -> locs, logits -> onnx_tail.py -> boxes, scores, labels, num_detections

Built from `architecture.py` and the weights, without torch. docs/export.md shows its use in other programs.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssd300.architecture import architecture
from ssd300.digits import as_plain
from ssd300.errors import ArgumentError
from ssd300.export.onnx_graph import FIRST_OPSET, Dimension, Graph, Value
from ssd300.export.onnx_network import Network
from ssd300.export.onnx_tail import add_decoding, add_selection
from ssd300.postprocess import check_thresholds
from ssd300.priors import IMAGE_SIZE, NUM_PRIORS
from ssd300.weights.graphs import ONNX_KEY
from ssd300.weights.int8 import Int8
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

if TYPE_CHECKING:
    import onnx

EXPORT_KEY = "ssd300.export"  # in metadata_props: the options as JSON, for users of the file


@dataclass(frozen=True)
class OnnxOptions:
    """The options of an ONNX file.

    nms: the published rule inside; else the outputs are boxes and probabilities of all 8732 default boxes.
    dynamic_batch: any batch size; else exactly 1.
    opset: of the standard operators, 17 or newer.
    input: "uint8" is [B, 300, 300, 3] in 0..255, "float" is float32 [B, 3, 300, 300] in 0..1; RGB, not normalized.
    half: kernels stored as float16, half the size; the arithmetic stays float32.
    score_threshold, iou_threshold, max_detections: constant in the file, only with `nms`.
    """

    nms: bool = True
    dynamic_batch: bool = False
    opset: int = FIRST_OPSET
    input: Literal["uint8", "float"] = "uint8"
    half: bool = False
    score_threshold: float = 0.05
    iou_threshold: float = 0.5
    max_detections: int = 200

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, as_plain(value))
        check_thresholds(**self.thresholds)
        if self.input not in ("uint8", "float"):
            raise ArgumentError(f"input is {self.input!r}: expected 'uint8' or 'float'")

    @property
    def batch(self) -> Dimension:
        return "B" if self.dynamic_batch else 1

    @property
    def thresholds(self) -> dict[str, Any]:
        """The arguments of `postprocess.select`."""
        return {name: getattr(self, name) for name in ("score_threshold", "iou_threshold", "max_detections")}


def build_onnx(
    state: State, metadata: ModelMetadata, options: OnnxOptions, int8: Int8 | None = None
) -> "onnx.ModelProto":
    """A state with the published keys and its metadata -> the model, accepted by onnx's checker; INT8 with `int8`.

    With NMS the outputs are boxes float32 [B, N, 4] (xyxy in the unit frame), scores float32 [B, N] (descending),
    labels int32 [B, N] (positions in the metadata's class list, from 0) and num_detections int32 [B]. Positions from
    `num_detections` on have zeros and the label -1. Without NMS: boxes [B, P, 4] and probabilities [B, K, P], row 0
    the background. Raises ArgumentError for an unknown opset, MissingExtraError without onnx.
    """
    graph = Graph()
    network = Network(graph, architecture(metadata.backbone, metadata.num_classes), state, half=options.half, int8=int8)
    locs, logits = network.heads("pictures", uint8=options.input == "uint8")
    outputs = _tail(graph, locs, logits, metadata.num_classes, options)
    return graph.model(
        f"ssd300-{metadata.backbone}",
        [_pictures(options)],
        outputs,
        opset=options.opset,
        properties={ONNX_KEY: metadata.to_json(), EXPORT_KEY: json.dumps(asdict(options))},
        about=_describe_model(metadata, options),
    )


def build_tail(num_classes: int, options: OnnxOptions) -> "onnx.ModelProto":
    """Only the part after the raw heads, with inputs locs [B, 4, P] and logits [B, K, P], to verify it separately."""
    graph = Graph()
    heads = [
        Value("locs", np.float32, (options.batch, 4, NUM_PRIORS), "raw offsets"),
        Value("logits", np.float32, (options.batch, num_classes, NUM_PRIORS), "raw scores"),
    ]
    outputs = _tail(graph, "locs", "logits", num_classes, options)
    return graph.model("ssd300-tail", heads, outputs, opset=options.opset, properties={}, about="")


def _tail(graph: Graph, locs: str, logits: str, num_classes: int, options: OnnxOptions) -> list[Value]:
    batch = options.batch
    unit = "xyxy in 0..1 of the picture's width and height, may reach outside"
    if not options.nms:
        add_decoding(graph, locs, logits, boxes_name="boxes")
        return [
            Value("boxes", np.float32, (batch, NUM_PRIORS, 4), unit),
            Value("probabilities", np.float32, (batch, num_classes, NUM_PRIORS), "row 0 is the background"),
        ]
    boxes, probabilities = add_decoding(graph, locs, logits, boxes_name="all_boxes")
    count = add_selection(graph, boxes, probabilities, num_classes, **options.thresholds)
    return [
        Value("boxes", np.float32, (batch, count, 4), unit),
        Value("scores", np.float32, (batch, count), "descending; 0 from num_detections on"),
        Value("labels", np.int32, (batch, count), "positions in the metadata's classes; -1 from num_detections on"),
        Value("num_detections", np.int32, (batch,), "detections of each picture"),
    ]


def _pictures(options: OnnxOptions) -> Value:
    meaning = f"RGB, the whole picture stretched to {IMAGE_SIZE}x{IMAGE_SIZE}, antialiased bilinear"
    if options.input == "uint8":
        return Value("pictures", np.uint8, (options.batch, IMAGE_SIZE, IMAGE_SIZE, 3), f"{meaning}; 0..255")
    return Value("pictures", np.float32, (options.batch, 3, IMAGE_SIZE, IMAGE_SIZE), f"{meaning}; 0..1, not normalized")


def _describe_model(metadata: ModelMetadata, options: OnnxOptions) -> str:
    rule = (
        f"score > {options.score_threshold}, IoU < {options.iou_threshold}, at most {options.max_detections} detections"
        if options.nms
        else "no selection: the outputs are all default boxes"
    )
    return (
        f"SSD300 with {metadata.backbone}, {len(metadata.classes)} classes; {rule}. License of the weights: "
        f"{metadata.licence}. metadata_props[{ONNX_KEY!r}] is JSON: classes, preprocessing, metric, licence."
    )
