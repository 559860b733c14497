"""Writes the page of `compare.py` from its JSON."""

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
Rows = dict[tuple[str, str], Any]  # (model, runtime) -> what was measured


def page(result: dict[str, Any]) -> str:
    machines = {kind(machine): machine for machine in result["machines"]}
    rows = {name: rows_of(machine) for name, machine in machines.items()}
    parts = [intro(machines)]
    parts += [summary(name, rows[name]) for name in machines]
    parts.append(advice(rows))
    parts += [details(name, rows[name]) for name in machines]
    return "\n\n".join([*parts, sizes(result), method(machines)]) + "\n"


def rows_of(machine: dict[str, Any]) -> Rows:
    return {
        (model, runtime): row for key, row in machine["rows"].items() for model, _, runtime in [key.partition(", ")]
    }


def kind(machine: dict[str, Any]) -> str:
    """What decides the speed of INT8 on a CPU."""
    flags = machine["flags"]
    if "amx_int8" in flags:
        return "AMX"
    if "avx512_vnni" in flags:
        return "AVX-512 with VNNI, no AMX"
    return "AVX2 only" if "avx2" in flags and "avx512f" not in flags else " ".join(flags) or "no vector extensions"


def intro(machines: dict[str, Any]) -> str:
    lines = "\n".join(
        f"- **{name}:** {machine['cpu']}, {machine['threads']} threads ({', '.join(machine['flags'])})"
        for name, machine in machines.items()
    )
    return f"""# Against other detectors

{MARK}

The speed of ssd300 and other small detectors on a CPU, their published accuracy, and which to choose. The machines:

{lines}

The times are from a 640x480 JPEG file to boxes; the summaries have the fastest runtime of each detector. AP is the
published value on COCO val2017, in percent.
The order can differ on another machine; you can [run it there](#how-it-was-measured)."""


def fastest(rows: Rows, model: str, *, int8: bool) -> tuple[str, Any]:
    """The runtime with the lowest median, with or without INT8."""
    found = {runtime: value for (name, runtime), value in rows.items() if name == model and ("int8" in runtime) == int8}
    runtime = min(found, key=lambda one: found[one]["p50_ms"])
    return runtime, found[runtime]


def measured_models(rows: Rows) -> list[str]:
    there = {model for model, _ in rows}
    return [model for model in FACTS if model in there]


def summary(machine: str, rows: Rows) -> str:
    lines = [
        f"## Summary: {machine}",
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


def advice(machines: dict[str, Rows]) -> str:
    """Conclusions from the measured rows."""
    lines = ["## Which to choose", ""]
    better = set(FACTS)
    for machine, rows in machines.items():
        best = {
            model: min(row["p50_ms"] for (name, _), row in rows.items() if name == model)
            for model in measured_models(rows)
        }
        mine = best["ssd300-resnet50"]
        others = [model for model in best if not model.startswith("ssd300-resnet")]
        faster = [FACTS[model][0] for model in others if best[model] < mine]
        slower = [FACTS[model][0] for model in others if best[model] >= mine]
        better &= {model for model in others if best[model] < mine and float(FACTS[model][2] or 0) >= 27}
        lines.append(
            f"- **{machine}:** at its fastest, ssd300 takes {mine:.0f} ms with ResNet-50, "
            f"{best['ssd300-resnet18']:.0f} ms with ResNet-18.\n"
            f"  Faster than ResNet-50: {', '.join(faster) or 'none'}.\n  Slower: {', '.join(slower) or 'none'}."
        )
    if better:
        names = ", ".join(FACTS[model][0] for model in FACTS if model in better)
        lines += ["", f"**Better than ssd300:** {names} are faster, with a higher published AP. SSD is from 2016."]
    lines += [
        "",
        "- **YOLO26n or YOLO11n:** the highest AP for the time, if the license does not matter or you pay for one.",
        "  Their code and weights are AGPL-3.0: a product or network service with them must publish its source or pay.",
        "- **RF-DETR nano:** the highest AP with a permissive license, if time matters less.",
        "- **NanoDet-Plus:** the least time and memory with a permissive license. Its README has no news since 2023.",
        "- **ssd300:** if you need the published NVIDIA checkpoint or its numbers; or training, data checks,",
        "  evaluation, INT8 with a measured loss of AP, video and serving in one package with a permissive license,",
        "  without torch for detection; or code that is small enough to read. It does not have the highest AP.",
    ]
    return "\n".join(lines)


def details(machine: str, rows: Rows) -> str:
    lines = [
        f"## All rows: {machine}",
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
    lines = ["## Installed size", "", "Each package with its dependencies:", ""]
    lines += ["| package | MiB |", "|---|---|"]
    lines += [f"| {name} | {size} |" for name, size in result["install"]["ways"].items()]
    for name, found in result["install"]["packages"].items():
        lines.append(f"| {name} {found['version']}, with torch for CPUs only | {found['installed_mib']} |")
    lines += [
        "",
        "onnxruntime and openvino also need code that decodes and resizes pictures and selects boxes. An exported",
        "model of ultralytics or rfdetr runs without its package.",
    ]
    return "\n".join(lines)


def method(machines: dict[str, Any]) -> str:
    versions = "\n".join(f"    - {name}: {versions_of(machine)}" for name, machine in machines.items())
    return f"""## How it was measured

```sh
python benchmarks/compare_export.py runs/others   # in an environment with ultralytics and rfdetr
python benchmarks/compare.py --others runs/others
```

- Every row ran in its own process, one after the other, on an otherwise idle machine. All numbers on this page come
  from [comparison.json](comparison.json); `python benchmarks/compare.py --page` writes the page from it.
  Versions:
{versions}
- All weights are random: speed does not depend on them. ssd300 selects from about 50 candidates in every picture, the
  others from their 50 best. Accuracy is therefore quoted, not measured.
- SSDLite320, SSD300 VGG16 and NanoDet-Plus were rebuilt from their published structure.
  `benchmarks/compare_networks.py` prints their numbers of parameters: those of torchvision are equal to the published
  number, NanoDet-Plus has 2.4 % more. YOLO and RF-DETR were exported by their own packages. The exported YOLO26n has
  the head that needs suppression.
- The steps around the network are the same for all other detectors: the JPEG decoder that ssd300 uses, Pillow's resize
  without keeping the aspect ratio, float32 from 0 to 1, and suppression among the 50 best boxes in NumPy.
- *memory* is the peak of the process, before the measurement of pictures/s; *cold start* the time from the command to
  the boxes of the first picture, with cached files (for INT8 of ssd300 also its compiled graph), median of three.
- *pictures/s*: one thread per core, each with whole pictures; OpenVINO with its throughput hint, onnxruntime with one
  thread per session; ssd300 with `detect_many`, which takes two pictures per core, so that one is decoded meanwhile.
- INT8 of the other detectors is NNCF's default, calibrated on eight pictures, without a check of accuracy: an upper
  bound of what they can gain. INT8 of ssd300 is that of `ssd300 quantize`, without its check of AP."""


def versions_of(machine: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {number}" for name, number in (machine["versions"] | {"Python": machine["python"]}).items()
    )
