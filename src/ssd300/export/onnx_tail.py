"""The part after the raw heads, as ONNX nodes: softmax, box decoding, and the published rule of selection.

Standard operators only. `postprocess.select` is the reference; the comments explain each step.
"""

import numpy as np

from ssd300.export.onnx_graph import Graph
from ssd300.postprocess import TOP_PER_CLASS
from ssd300.priors import NUM_PRIORS, WH_VARIANCE, XY_VARIANCE, default_boxes


def add_decoding(graph: Graph, locs: str, logits: str, *, boxes_name: str) -> tuple[str, str]:
    """locs [B, 4, P], logits [B, K, P] -> boxes [B, P, 4] as xyxy in the unit frame, probabilities [B, K, P]."""
    priors_cxcywh = default_boxes().T[None]  # [1, 4, P]
    centers = graph.constant("priors.centers", priors_cxcywh[:, :2])
    sizes = graph.constant("priors.sizes", priors_cxcywh[:, 2:])
    axis = graph.constant("coordinates", [1])
    limits = [graph.constant(f"coordinate.{i}", [i]) for i in (0, 2, 4)]
    center = graph.node("Slice", locs, limits[0], limits[1], axis, name="locs.centers")
    center = graph.node("Mul", center, graph.constant("xy_variance", XY_VARIANCE, np.float32), name="centers.scaled")
    center = graph.node("Mul", center, sizes, name="centers.moved")
    center = graph.node("Add", center, centers, name="centers")
    size = graph.node("Slice", locs, limits[1], limits[2], axis, name="locs.sizes")
    size = graph.node("Mul", size, graph.constant("wh_variance", WH_VARIANCE, np.float32), name="sizes.scaled")
    size = graph.node("Mul", graph.node("Exp", size, name="sizes.grown"), sizes, name="sizes")
    half = graph.node("Mul", size, graph.constant("half", 0.5, np.float32), name="sizes.half")
    corners = [graph.node(kind, center, half, name=f"corners.{kind.lower()}") for kind in ("Sub", "Add")]
    boxes = graph.node("Concat", *corners, name="boxes.rows", axis=1)
    boxes = graph.node("Transpose", boxes, name=boxes_name, perm=[0, 2, 1])
    return boxes, graph.node("Softmax", logits, name="probabilities", axis=1)


def count_places(num_classes: int, max_detections: int) -> int:
    """N of the outputs: `max_detections`, or the number of candidates (200 per class) if that is smaller."""
    return min(max_detections, (num_classes - 1) * TOP_PER_CLASS)


def add_selection(
    graph: Graph,
    boxes: str,
    probabilities: str,
    num_classes: int,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
) -> int:
    """boxes [B, P, 4], probabilities [B, K, P] -> boxes [B, N, 4], scores [B, N], labels [B, N], num_detections [B].

    Returns N (`count_places`). Detections are best first; positions from `num_detections` on have zeros and the label
    -1. Labels are positions in the class list.
    """
    candidates, scores = _best_of_each_class(graph, boxes, probabilities, num_classes)
    kept = _suppress(graph, candidates, scores, score_threshold, iou_threshold)
    places = (num_classes - 1) * TOP_PER_CLASS
    count = count_places(num_classes, max_detections)
    # Reversed: among equal scores the published order has the last class first, TopK the first position.
    table = graph.node("Reshape", kept, graph.constant("table.shape", [-1, places]), name="table")
    table = graph.node(
        "Slice",
        table,
        *_slice(graph, "table", starts=[-1], ends=[-places - 1], axes=[1], steps=[-1]),
        name="table.backwards",
    )
    best, from_end = graph.nodes(
        "TopK", table, graph.constant("count", [count]), names=["scores", "best.from_end"], axis=1
    )
    place = graph.node("Sub", graph.constant("table.last", places - 1), from_end, name="best.place")  # [B, N]
    found = graph.node("Greater", best, graph.constant("nothing", 0, np.float32), name="found")
    last_axis = graph.constant("last_axis", [2])
    index = graph.node("Unsqueeze", place, last_axis, name="best.index")
    chosen = graph.node("GatherND", candidates, index, name="best.boxes", batch_dims=1)
    mask = graph.node("Unsqueeze", found, last_axis, name="found.boxes")
    chosen = graph.node("Where", mask, chosen, "nothing", name="boxes")
    label = graph.node("Div", place, graph.constant("per_class", TOP_PER_CLASS), name="best.class")
    label = graph.node("Where", found, label, graph.constant("no_label", -1), name="best.label")
    label = graph.node("Cast", label, name="labels", to=6)  # 6: int32
    number = graph.node("Cast", found, name="found.number", to=6)
    axis = graph.constant("places", [1])
    number = graph.node("ReduceSum", number, axis, name="num_detections", keepdims=0)
    return count


def _best_of_each_class(graph: Graph, boxes: str, probabilities: str, num_classes: int) -> tuple[str, str]:
    """The best 200 of each class: boxes [B, (K-1) * 200, 4] and scores [B, K-1, 200], without background.

    Priors are reversed: among equal scores the published order has the highest prior first, TopK the lowest position.
    """
    last = -NUM_PRIORS - 1
    cut = _slice(graph, "objects", starts=[1, -1], ends=[num_classes, last], axes=[1, 2], steps=[1, -1])
    objects = graph.node("Slice", probabilities, *cut, name="objects")
    top = graph.constant("top", [TOP_PER_CLASS])
    scores, from_end = graph.nodes("TopK", objects, top, names=["candidates.scores", "candidates.from_end"], axis=2)
    prior = graph.node("Sub", graph.constant("last_prior", NUM_PRIORS - 1), from_end, name="candidates.prior")
    shape = graph.constant("candidates.shape", [0, (num_classes - 1) * TOP_PER_CLASS, 1])
    index = graph.node("Reshape", prior, shape, name="candidates.index")
    return graph.node("GatherND", boxes, index, name="candidates", batch_dims=1), scores


def _suppress(graph: Graph, candidates: str, scores: str, score_threshold: float, iou_threshold: float) -> str:
    """Scores [B * (K-1) * 200] of the candidates; zero below the threshold and for suppressed boxes.

    Every class of every picture is a separate batch item of NonMaxSuppression, with its own 200 boxes.
    """
    # The published rule drops IoU == threshold, the operator keeps it. Boxes that do not overlap are also kept at 0.
    threshold = np.nextafter(np.float32(iou_threshold), np.float32(0))
    kept = graph.node(
        "NonMaxSuppression",
        graph.node("Reshape", candidates, graph.constant("by_class", [-1, TOP_PER_CLASS, 4]), name="by_class.boxes"),
        graph.node("Reshape", scores, graph.constant("one_class", [-1, 1, TOP_PER_CLASS]), name="by_class.scores"),
        graph.constant("most", [TOP_PER_CLASS]),
        graph.constant("iou_threshold", [threshold], np.float32),
        graph.constant("score_threshold", [score_threshold], np.float32),
        name="kept",  # [S, 3]: class of a picture, 0, rank
    )
    row = graph.node("Gather", kept, graph.constant("row_column", 0), name="kept.row", axis=1)
    rank = graph.node("Gather", kept, graph.constant("rank_column", 2), name="kept.rank", axis=1)
    row = graph.node("Mul", row, graph.constant("row_length", TOP_PER_CLASS), name="kept.row_start")
    place = graph.node("Add", row, rank, name="kept.place")
    flat = graph.node("Reshape", scores, graph.constant("flat", [-1]), name="candidates.flat_scores")
    zeros = graph.node("ConstantOfShape", graph.node("Shape", flat, name="flat.length"), name="flat.zeros")
    return graph.node(
        "ScatterElements", zeros, place, graph.node("Gather", flat, place, name="kept.scores"), name="kept.flat", axis=0
    )


def _slice(graph: Graph, name: str, **parts: list[int]) -> list[str]:
    """The inputs of a Slice after the first: starts, ends, axes, steps."""
    return [graph.constant(f"{name}.{part}", values) for part, values in parts.items()]
