"""The published torch.hub interface: `nvidia_ssd` and the helpers of `nvidia_ssd_processing_utils`.

Same names, arguments, results and order as published, on any device, from any picture; `docs/compatibility.md` lists
the differences. The helpers prepare a picture as published: short side to 300, center crop, range
[-1, 1]. Everything else in ssd300 stretches the picture to 300x300 and normalizes as in training.
"""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssd300.architecture import BACKBONES
from ssd300.errors import ArgumentError, DownloadError, ModelError, needs, unknown_name
from ssd300.images.antialias import resample
from ssd300.images.source import open_source
from ssd300.labels import COCO, COCO_NAMES
from ssd300.postprocess import decode
from ssd300.priors import IMAGE_SIZE
from ssd300.weights import catalog

if TYPE_CHECKING:
    from torch import Tensor

    from ssd300.learn.network import SSD300

FloatArray = NDArray[np.floating[Any]]

PUBLISHED_MODEL = "nvidia-resnet50-coco"
MODEL_MATHS = ("fp32", "fp16")
DECODE_IOU_THRESHOLD, DECODE_MAX_DETECTIONS = 0.5, 20  # of decode_results, as published


def nvidia_ssd(
    pretrained: bool = True,
    model_math: str = "fp32",
    force_reload: bool = False,
    *,
    backbone: str | None = None,
    num_classes: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> "SSD300":
    """The SSD300 network (torch), in training mode as published: call `.eval()` before use.

    Args:
        pretrained: load the published weights, downloaded once, or `checkpoint` if that is given.
        model_math: "fp32", or "fp16" for half precision except in batch norms.
        force_reload: download again; of `checkpoint` if that is the name of a downloaded model.
        backbone, num_classes: of the network, background included; None takes those of `checkpoint`, else resnet50
            and 81, the only combination with published weights.
        checkpoint: a file to load, whatever `pretrained` is: .safetensors of ssd300 or .pt in the published layout, or
            the name of a model that `ssd300 models` lists, such as "default".

    Raises ArgumentError, ModelError (a file that does not fit), DownloadError, MissingExtraError (no torch).
    """
    if model_math not in MODEL_MATHS:
        raise unknown_name("model_math", model_math, MODEL_MATHS)
    if backbone not in (None, *BACKBONES):
        raise unknown_name("backbone", backbone, BACKBONES)
    asked = backbone or "resnet50", len(COCO) + 1 if num_classes is None else num_classes
    if pretrained and checkpoint is None:
        if asked != ("resnet50", len(COCO) + 1):
            raise ArgumentError(
                f"published weights exist for resnet50 with 81 classes only, not for {asked[0]} with {asked[1]}; "
                "pass checkpoint=FILE, or pretrained=False for random weights"
            )
        checkpoint = PUBLISHED_MODEL
    _torch("nvidia_ssd")
    if checkpoint is None:
        from ssd300.learn.network import SSD300

        network = SSD300(*asked)
    else:
        network = _load_network(checkpoint, backbone, num_classes, force_reload)
    if model_math == "fp16":
        _halve(network)
    return network


def nvidia_ssd_processing_utils() -> "Processing":
    """The helpers that prepare pictures and decode the network's output."""
    return Processing()


class Processing:
    """The published helpers. A picture is an RGB array [H, W, 3], height first; none of them changes its input."""

    @staticmethod
    def load_image(image_path: Any) -> NDArray[np.float64]:
        """A path or http(s) address (or any other source that ssd300 reads) -> [H, W, 3], 0..1, upright."""
        return open_source(image_path).astype(np.float64) / 255

    @staticmethod
    def rescale(img: ArrayLike, input_height: int, input_width: int) -> FloatArray:
        """Resize [H, W, 3], aspect kept, to the smallest size that covers height x width; integers become 0..1."""
        picture = _as_float(img)
        return resample(picture, _covering_size(picture, input_height, input_width))

    @staticmethod
    def crop_center(img: ArrayLike, cropx: int, cropy: int) -> NDArray[Any]:
        """The central [cropy, cropx, 3] of a picture, a view of it. Raises ArgumentError if the picture is smaller."""
        picture = np.asarray(img)
        height, width = picture.shape[:2]
        if not (0 < cropy <= height and 0 < cropx <= width):
            raise ArgumentError(f"crop_center cannot cut {cropx}x{cropy} out of {width}x{height} pixels: rescale first")
        top, left = _cut_start(height, cropy), _cut_start(width, cropx)
        return picture[top : top + cropy, left : left + cropx]

    @staticmethod
    def normalize(img: ArrayLike, mean: float = 128, std: float = 128) -> FloatArray:
        """0..1 -> (256 * v - mean) / std, by default [-1, 1]."""
        normalized: FloatArray = (np.asarray(img) * 256 - mean) / std
        return normalized

    @staticmethod
    def prepare_input(img_uri: Any) -> NDArray[np.float64]:
        """A picture, as `load_image` takes it -> [300, 300, 3] in [-1, 1]: loaded, rescaled, cropped and normalized."""
        picture = Processing.load_image(img_uri)
        size_hw = _covering_size(picture, IMAGE_SIZE, IMAGE_SIZE)
        starts = [_cut_start(size, IMAGE_SIZE) for size in size_hw]
        # Only the center crop is computed: a very elongated picture, rescaled whole, would not fit into memory.
        cut = resample(picture, size_hw, [slice(start, start + IMAGE_SIZE) for start in starts])
        return np.asarray(Processing.normalize(cut), np.float64)

    @staticmethod
    def prepare_tensor(inputs: Sequence[ArrayLike], fp16: bool = False) -> "Tensor":
        """N prepared pictures [300, 300, 3] -> tensor [N, 3, 300, 300], float32 or float16, on CUDA if available."""
        torch = _torch("nvidia_ssd_processing_utils().prepare_tensor")
        pictures = np.zeros((len(inputs), IMAGE_SIZE, IMAGE_SIZE, 3), np.float16 if fp16 else np.float32)
        for place, picture in zip(pictures, inputs, strict=True):
            if np.shape(picture) != place.shape:  # which NumPy might repeat until it fits
                raise ArgumentError(
                    f"prepare_tensor takes a list of pictures {list(place.shape)}, as prepare_input returns them; "
                    f"got one of shape {list(np.shape(picture))}"
                )
            place[:] = picture
        tensor: Tensor = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        return tensor.cuda() if torch.cuda.is_available() else tensor

    @staticmethod
    def decode_results(predictions: Sequence[Any]) -> list[list[NDArray[Any]]]:
        """The network's (locs [N, 4, P], logits [N, K, P]) -> per picture [boxes, labels, scores], at most 20 each.

        boxes float32 [D, 4] xyxy in fractions of the 300x300 input, labels int64 [D] from 1, scores float32 [D]
        ASCENDING: the best is last.
        """
        locs, logits = map(_to_numpy, predictions)
        descending = [
            decode(*one, iou_threshold=DECODE_IOU_THRESHOLD, max_detections=DECODE_MAX_DETECTIONS)
            for one in zip(locs, logits, strict=True)
        ]
        return [[array[::-1].copy() for array in picture] for picture in descending]

    @staticmethod
    def pick_best(detections: Sequence[ArrayLike], threshold: float = 0.3) -> list[NDArray[Any]]:
        """[boxes, labels, scores] of one picture -> those with score > threshold, in the same order."""
        boxes, labels, scores = (np.asarray(array) for array in detections)
        best = scores > threshold
        return [boxes[best], labels[best], scores[best]]

    @staticmethod
    def get_coco_object_dictionary() -> list[str]:
        """The 80 COCO names; label k of `decode_results` is `names[k - 1]`."""
        return list(COCO_NAMES)


def _torch(what: str) -> Any:
    with needs(what, "train"):
        import torch
    return torch


def _load_network(
    checkpoint: str | PathLike[str], backbone: str | None, num_classes: int | None, force_reload: bool
) -> "SSD300":
    """Load a network by file or name. Raises DownloadError, and ModelError if it is not the one requested."""
    try:
        path = catalog.resolve(checkpoint, detector=True, force=force_reload)
    except DownloadError as error:
        raise DownloadError(
            f"{error}; or pass checkpoint=FILE, or checkpoint='default' for the bundled model"
        ) from error
    state, metadata = catalog.load_weights(path)
    found = metadata.backbone, metadata.num_classes
    asked = backbone or found[0], found[1] if num_classes is None else num_classes
    if found != asked:
        raise ModelError(
            f"{checkpoint}: holds {found[0]} with {found[1]} classes, background included; the network requested is "
            f"{asked[0]} with {asked[1]}; pass backbone={found[0]!r}, num_classes={found[1]}, or leave both out"
        )
    from ssd300.runtime.torch import make_network

    return make_network(state, metadata)


def _halve(network: "SSD300") -> None:
    from torch.nn import BatchNorm2d

    network.half()
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.float()


def _to_numpy(prediction: Any) -> NDArray[np.float32]:
    """A tensor on any device, or an array -> float32 array."""
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().float().cpu().numpy()
    return np.asarray(prediction, np.float32)


def _as_float(img: ArrayLike) -> FloatArray:
    """Integers as fractions of their largest value; floats as they are."""
    picture = np.asarray(img)
    if picture.dtype.kind in "ui":
        return picture / np.float64(np.iinfo(picture.dtype).max)
    return picture


def _covering_size(picture: NDArray[Any], height: int, width: int) -> tuple[int, int]:
    """(rows, columns) in the picture's aspect: one side fits, the longer one is rounded down, as published."""
    aspect = picture.shape[1] / float(picture.shape[0])
    if aspect * height >= width:
        return height, int(aspect * height)
    return int(width / aspect), width


def _cut_start(size: int, cut: int) -> int:
    return size // 2 - cut // 2
