"""The page of `compare.py`, from its JSON."""

from typing import Any

MARK = "<!-- written by `python benchmarks/compare.py --page` from comparison.json -->"
# name -> what it is, license, published AP on COCO val2017 in percent, where that is published
FACTS = {
    "ssd300-resnet18": ("ssd300, ResNet-18", "Apache-2.0", None, ""),
    "ssd300-resnet50": (
        "ssd300, ResNet-50",
        "Apache-2.0",
        "25 to 27",
        "https://github.com/NVIDIA/DeepLearningExamples/tree/master/PyTorch/Detection/SSD",
    ),
    "ssdlite320-320": (
        "SSDLite320 MobileNetV3-Large",
        "BSD-3-Clause",
        "21.3",
        "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.detection.ssdlite320_mobilenet_v3_large.html",
    ),
    "ssd300-vgg16-300": (
        "SSD300 VGG16",
        "BSD-3-Clause",
        "25.1",
        "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.detection.ssd300_vgg16.html",
    ),
    "nanodet-plus-m-320": ("NanoDet-Plus-m 320", "Apache-2.0", "27.0", "https://github.com/RangiLyu/nanodet"),
    "nanodet-plus-m-416": ("NanoDet-Plus-m 416", "Apache-2.0", "30.4", "https://github.com/RangiLyu/nanodet"),
    "yolo11n-320": ("YOLO11n 320", "AGPL-3.0 or paid", None, ""),
    "yolo11n-640": ("YOLO11n 640", "AGPL-3.0 or paid", "39.5", "https://docs.ultralytics.com/models/yolo11/"),
    "yolo26n-320": ("YOLO26n 320", "AGPL-3.0 or paid", None, ""),
    "yolo26n-640": ("YOLO26n 640", "AGPL-3.0 or paid", "40.9", "https://docs.ultralytics.com/models/yolo26/"),
    "rfdetr-nano-384": ("RF-DETR nano 384", "Apache-2.0", "48.4", "https://github.com/roboflow/rf-detr"),
}
WAYS = {"ssd300": "ssd300", "onnxruntime": "onnxruntime", "openvino": "openvino"}


def page(result: dict[str, Any]) -> str:
    rows = {tuple(key.split(", ")): value for key, value in result["rows"].items()}
    parts = [intro(result["machine"]), summary(rows), advice(rows), details(rows), sizes(result), method(result)]
    return "\n\n".join(parts) + "\n"


def intro(machine: dict[str, Any]) -> str:
    flags = ", ".join(machine["flags"]) or "no vector extensions that matter here"
    return f"""# Against other detectors

{MARK}

This page says how fast ssd300 is beside other small detectors on one CPU, what they publish as accuracy, and which to
take for what. One machine: {machine["cpu"]}, {machine["threads"]} threads ({flags}). On another machine the order can
differ: run it there ([how](#how-it-was-measured))."""


def fastest(rows: dict[tuple[str, str], Any], model: str, *, int8: bool) -> tuple[str, Any]:
    """The runtime with the lowest median, with or without INT8."""
    found = {runtime: value for (name, runtime), value in rows.items() if name == model and ("int8" in runtime) == int8}
    runtime = min(found, key=lambda one: found[one]["p50_ms"])
    return runtime, found[runtime]


def measured_models(rows: dict[tuple[str, str], Any]) -> list[str]:
    there = {model for model, _ in rows}
    return [model for model in FACTS if model in there]


def summary(rows: dict[tuple[str, str], Any]) -> str:
    lines = [
        "## One table",
        "",
        "A 640x480 JPEG file to boxes, the fastest runtime of each. AP is what others publish for COCO val2017, in"
        " percent.",
        "",
        "| detector | license | published AP | float: ms (p50), pictures/s | INT8: ms (p50), pictures/s |",
        "|---|---|---|---|---|",
    ]
    for model in measured_models(rows):
        name, license, ap, source = FACTS[model]
        cells = []
        for int8 in (False, True):
            try:
                runtime, value = fastest(rows, model, int8=int8)
            except ValueError:
                cells.append("")
                continue
            cells.append(f"{value['p50_ms']:.1f}, {value['pictures_s']:.1f} ({runtime.removesuffix(' int8')})")
        quoted = f"[{ap}]({source})" if ap else "none published"
        lines.append(f"| {name} | {license} | {quoted} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def advice(rows: dict[tuple[str, str], Any]) -> str:
    """What follows from the table, from its own numbers."""

    def best(model: str) -> float:
        return min(value["p50_ms"] for (name, _), value in rows.items() if name == model)

    mine = best("ssd300-resnet50")
    others = [model for model in measured_models(rows) if not model.startswith("ssd300-resnet")]
    faster = [FACTS[model][0] for model in others if best(model) < mine]
    slower = [FACTS[model][0] for model in others if best(model) >= mine]
    better = [
        FACTS[model][0]
        for model in others
        if best(model) < mine and FACTS[model][2] and float(FACTS[model][2] or 0) >= 27
    ]
    lines = ["## Which to take", ""]
    lines.append(
        f"Our ResNet-50 takes {mine:.0f} ms at its fastest, ResNet-18 {best('ssd300-resnet18'):.0f} ms. Faster than "
        f"ResNet-50 here: {', '.join(faster) or 'none'}. Slower: {', '.join(slower) or 'none'}."
    )
    if better:
        lines += ["", f"**Where we lose:** {', '.join(better)} are faster and publish a higher AP. SSD is from 2016."]
    lines += [
        "",
        "- **Highest AP for the time, the license does not matter or is paid:** YOLO26n or YOLO11n. Their code and",
        "  weights are AGPL-3.0: a product, or a network service, that uses them has to publish its source or pay.",
        "- **Highest AP, a permissive license, time matters less:** RF-DETR nano.",
        "- **Least time and memory, a permissive license:** NanoDet-Plus. Its README has no news since 2023.",
        "- **ssd300:** the published NVIDIA checkpoint or its numbers are what you need; or training, checks of data,",
        "  evaluation, INT8 with its cost in AP measured, video and serving in one package under a permissive license,",
        "  without torch where it detects; or code that is small enough to read. Not for the highest AP.",
    ]
    return "\n".join(lines)


def details(rows: dict[tuple[str, str], Any]) -> str:
    lines = [
        "## All rows",
        "",
        "Memory is the peak of the process up to the single pictures; cold start is from the command to the boxes of"
        " the first picture, files cached, median of three.",
        "",
        "| detector | runtime | p50 ms | p95 ms | pictures/s | memory MiB | cold start s | model MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in measured_models(rows):
        for (name, runtime), value in rows.items():
            if name == model:
                numbers = (
                    f"{value['p50_ms']:.1f}",
                    f"{value['p95_ms']:.1f}",
                    f"{value['pictures_s']:.1f}",
                    value["peak_mib"],
                    f"{value['cold_start_s']:.2f}",
                    f"{value['model_mb']:.1f}",
                )
                lines.append(f"| {FACTS[model][0]} | {runtime} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def sizes(result: dict[str, Any]) -> str:
    lines = ["## Installed size", "", "A package with all that it needs, as installed here:", ""]
    lines += ["| package | MiB |", "|---|---|"]
    lines += [f"| {name} | {size} |" for name, size in result["install"]["ways"].items()]
    for name, found in result["install"]["packages"].items():
        lines.append(f"| {name} {found['version']}, with torch for CPUs only | {found['installed_mib']} |")
    lines += [
        "",
        "onnxruntime and openvino alone still need code that decodes, resizes and selects. A model of ultralytics or"
        " rfdetr runs without its package once it is exported.",
    ]
    return "\n".join(lines)


def method(result: dict[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return f"""## How it was measured

```sh
python benchmarks/compare_export.py runs/others   # in an environment with ultralytics and rfdetr
python benchmarks/compare.py --others runs/others
```

- Every row ran in a process of its own, one after the other, on an otherwise idle machine; every number of this page
  comes from [comparison.json](comparison.json), and `python benchmarks/compare.py --page` writes the page from it.
  Versions: {versions}, Python {machine["python"]}.
- Weights are random, for ours too: speed does not depend on them. Ours has about 50 candidates to select from in every
  picture; the others select from their 50 best. So this page measures no accuracy, and quotes it.
- SSDLite320, SSD300 VGG16 and NanoDet-Plus are definitions of our own from their published structure
  (`benchmarks/compare_networks.py` prints their parameters: those of torchvision are equal to the published number,
  NanoDet-Plus has 2.4 % more). YOLO and RF-DETR were exported by their own packages. YOLO26n came out with the head
  that needs suppression.
- For the others, what surrounds the network is the same for all: the JPEG decoder that ssd300 uses, Pillow's resize by
  stretching, float32 from 0 to 1, and suppression among the 50 best in NumPy.
- *pictures/s*: a thread a core with whole pictures; OpenVINO with its throughput hint, onnxruntime with one thread a
  session; ours with `detect_many`.
- INT8 of the others is NNCF's default on eight pictures. Nobody looked what it costs in accuracy, so it is the
  most that they could gain. Ours is the INT8 of `ssd300 quantize`, but for its check of AP."""
