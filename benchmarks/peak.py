"""The network's share of the machine's peak: GMAC/s against a chain of large convolutions.

    python benchmarks/peak.py [--backbone resnet50] [--seconds 3] [--rounds 5]

The chain is eight 3x3 convolutions, 256 to 256 channels, at 38x38: the size of most of the network, without the layers
that keep a CPU below its peak. Both graphs are quantized by the same function, compiled with the same settings and run
with as many requests in flight as OpenVINO chooses, alternately; medians. The goal is 75 % of the chain's INT8 rate.
"""

import argparse
import statistics

import numpy as np
import openvino as ov
from openvino import opset1 as ops

from forward import compile_graph, gmac, rate
from seeded_model import CALIBRATION, network_pictures, seeded_model
from ssd300.cpu import default_threads, native_bf16
from ssd300.export.nncf_graph import calibrate, quantize_graph
from ssd300.runtime.graph import INPUT, MARGIN, OUTPUTS, build_graph

LENGTH, CHANNELS, SIZE = 8, 256, 38


def chain() -> ov.Model:
    """uint8 [1, 38, 38, 256] -> eight convolutions, each with bias and relu.

    The last sum and the last relu have the names at which `quantize_graph` stops.
    """
    draw = np.random.default_rng(0)
    pictures = ops.parameter([1, SIZE, SIZE, CHANNELS], ov.Type.u8)
    x = ops.transpose(ops.convert(pictures, "f32"), np.array([0, 3, 1, 2]))
    for _ in range(LENGTH):
        kernel = draw.normal(0, (2 / (9 * CHANNELS)) ** 0.5, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        bias = draw.normal(0, 0.1, (1, CHANNELS, 1, 1)).astype(np.float32)
        y = ops.add(ops.convolution(x, ov.op.Constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1]), ov.op.Constant(bias))
        x = ops.relu(y)
    y.set_friendly_name(OUTPUTS)
    x.set_friendly_name(MARGIN)
    pictures.output(0).set_names({INPUT})
    return ov.Model([ops.result(x)], [pictures], "chain")


def executed(model: ov.CompiledModel, kind: str) -> str:
    """How many convolutions are executed in a number type ("I8", "bf16"), such as "8 of 8"."""
    nodes = [node.get_rt_info() for node in model.get_runtime_model().get_ops()]
    chosen = [str(info["primitiveType"].value) for info in nodes if info["layerType"].value == "Convolution"]
    return f"{sum(one.endswith(f'_{kind}') for one in chosen)} of {len(chosen)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    state, metadata = seeded_model(options.backbone)
    network = build_graph(state, metadata)
    ranges = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, CHANNELS), np.uint8)
    int8 = calibrate(state, metadata, network_pictures(CALIBRATION))
    quantized = {"network": build_graph(state, metadata, int8)}
    quantized["chain"] = quantize_graph(chain(), ranges)
    graphs = {"int8": quantized}
    if native_bf16():
        graphs["bf16"] = {"network": network, "chain": chain()}
    work = {name: gmac(graph) for name, graph in quantized.items()}
    print(f"{options.backbone}: {work['network']:.2f} GMAC a picture, the chain {work['chain']:.2f}; ", end="")
    print(f"{default_threads()} threads")
    for precision, pair in graphs.items():
        models = {name: compile_graph(graph, precision, hint="THROUGHPUT") for name, graph in pair.items()}
        rates: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(options.rounds):
            for name, model in models.items():
                rates[name].append(rate(model, options.seconds) * work[name])
        ours, peak = (statistics.median(rates[name]) for name in ("network", "chain"))
        print(f"{precision}: network {ours:.0f} GMAC/s, chain {peak:.0f}, share {ours / peak:.2f}; ", end="")
        shares = {name: executed(model, {"int8": "I8"}.get(precision, precision)) for name, model in models.items()}
        print(
            f"convolutions in {precision}: " + ", ".join(f"{name} {share}" for name, share in shares.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
