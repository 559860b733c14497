"""Nodes and constants of an ONNX graph, collected in order; only this module needs the onnx package for writing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssd300.errors import ArgumentError, needs

if TYPE_CHECKING:
    import onnx

FIRST_OPSET = 17
Dimension = int | str  # a str names a dynamic dimension


@dataclass(frozen=True)
class Value:
    """An input or output of the graph: its name, data type, shape and meaning."""

    name: str
    dtype: type[np.generic]
    shape: tuple[Dimension, ...]
    meaning: str


class Graph:
    """An ONNX graph under construction. Values are referred to by name; a node's output has the node's name.

    >>> graph = Graph()
    >>> graph.node("Add", "x", graph.constant("one", np.float32(1)), name="x.plus")
    'x.plus'
    """

    def __init__(self) -> None:
        self._nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def node(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Add an operator with one output; returns the output's name."""
        return self.nodes(kind, *inputs, names=[name], **attributes)[0]

    def nodes(self, kind: str, *inputs: str, names: list[str], **attributes: Any) -> list[str]:
        """Add an operator with several outputs; returns their names."""
        self._nodes.append((kind, list(inputs), names, attributes))
        return names

    def constant(self, name: str, values: Any, dtype: type[np.generic] | None = None) -> str:
        """Add a constant. Integers become int64, the type of shapes, axes and indices in ONNX."""
        array = np.asarray(values, dtype)
        if array.dtype.kind == "i" and dtype is None:
            array = array.astype(np.int64)
        self._constants[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    def model(
        self,
        name: str,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        *,
        opset: int,
        properties: dict[str, str],
        about: str,
    ) -> "onnx.ModelProto":
        """The model, accepted by onnx's checker. Raises ArgumentError for an opset that onnx lacks."""
        with needs("writing an ONNX file", "onnx"):
            import onnx
        from ssd300 import __version__

        newest = onnx.defs.onnx_opset_version()
        if not isinstance(opset, int) or opset not in range(FIRST_OPSET, newest + 1):
            found = f"opset is {opset!r}: expected {FIRST_OPSET} to {newest}"
            raise ArgumentError(f"{found}, the newest of the installed onnx package")
        graph = onnx.helper.make_graph(
            [
                onnx.helper.make_node(kind, ins, outs, name=outs[0], **attributes)
                for kind, ins, outs, attributes in self._nodes
            ],
            name,
            [_value_info(value) for value in inputs],
            [_value_info(value) for value in outputs],
            [onnx.numpy_helper.from_array(values, key) for key, values in self._constants.items()],
        )
        opsets = [onnx.helper.make_opsetid("", opset)]
        model: onnx.ModelProto = onnx.helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=onnx.helper.find_min_ir_version_for(opsets),  # older readers refuse a newer one
            producer_name="ssd300",
            producer_version=__version__,
            doc_string=about,
        )
        onnx.helper.set_model_props(model, properties)
        onnx.checker.check_model(model, full_check=True)
        return model


def _value_info(value: Value) -> Any:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return onnx.helper.make_tensor_value_info(value.name, kind, value.shape, doc_string=value.meaning)
