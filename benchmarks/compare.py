"""ssd300 against other detectors on this CPU, from a JPEG file to boxes. Writes docs/research/comparison.json and .md.

    python benchmarks/compare_export.py runs/others   # with the Python of an environment that has the other packages
    python benchmarks/compare.py --others runs/others [--seconds 200]
    python benchmarks/compare.py --page               # the page from the JSON, nothing else

Weights are random. Speed does not depend on them, apart from the number of candidates, which is set to that of a
trained model for ssd300 (`seeded_model.py`). Each row runs in its own process (`compare_row.py`) and is saved when it
is done. A run stops after --seconds and the next run continues it; --again starts over. The page has one
machine of each kind (`kind` in `compare_page.py`), the newest. Published AP is quoted with its source.
Needs `pip install '.[dev]'`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compare_export import installed_mib
from compare_page import kind, page

HERE = Path(__file__).parent
RESULT = HERE.parent / "docs" / "research" / "comparison.json"
PAGE = RESULT.with_suffix(".md")
MODELS = HERE.parent / "runs" / "compare"
OURS = ("resnet18", "resnet50")
PICTURES = 16  # different ones, 640x480, in turns
SIDES = {"ssdlite320": (320,), "ssd300-vgg16": (300,), "nanodet-plus-m": (320, 416)}
RUNTIMES = ("onnxruntime f32", "openvino f32", "openvino bf16", "openvino int8")


def make_models(folder: Path, others: Path | None) -> None:
    """Make all model files and pictures that do not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    from seeded_model import jpegs

    for number, data in enumerate(jpegs(PICTURES)):
        (folder / f"{number:02}.jpg").write_bytes(data)
    for backbone in OURS:
        if not (folder / f"{backbone}.safetensors").exists():
            make_ours(folder, backbone)
    for name, sides in SIDES.items():
        for side in sides:
            if not (folder / f"{name}-{side}.onnx").exists():
                make_other(folder / f"{name}-{side}.onnx", name, side)
    if others:
        for path in (*others.glob("*.onnx"), others / "packages.json"):
            (folder / path.name).write_bytes(path.read_bytes())
    for path in sorted(folder.glob("*.onnx")):
        if not path.with_name(f"{path.stem}-int8.xml").exists():
            make_int8(path, folder)


def make_ours(folder: Path, backbone: str) -> None:
    from seeded_model import CALIBRATION, network_pictures, seeded_model
    from ssd300.export.files import save_graph
    from ssd300.export.nncf_graph import calibrate
    from ssd300.runtime.graph import build_graph
    from ssd300.weights.checkpoint import write_checkpoint

    state, metadata = seeded_model(backbone)
    int8 = calibrate(state, metadata, network_pictures(CALIBRATION))
    save_graph(build_graph(state, metadata, int8), folder / f"{backbone}-int8.xml")
    write_checkpoint(folder / f"{backbone}.safetensors", state, metadata)


def make_other(path: Path, name: str, side: int) -> None:
    import torch

    from compare_networks import NETWORKS

    network = NETWORKS[name]().eval()
    torch.onnx.export(network, (torch.zeros(1, 3, side, side),), str(path), dynamo=False, opset_version=17)


def make_int8(path: Path, folder: Path) -> None:
    """INT8 by NNCF's defaults, without a check of accuracy: an upper bound of what the other detectors can gain."""
    import nncf
    import openvino as ov

    from compare_row import prepared

    side = int(path.stem.rpartition("-")[2])
    data = nncf.Dataset([prepared(file, side) for file in sorted(folder.glob("*.jpg"))[:8]])
    kind = nncf.ModelType.TRANSFORMER if "detr" in path.stem else None
    quantized = nncf.quantize(ov.Core().read_model(path), data, subset_size=8, model_type=kind)
    ov.save_model(quantized, path.with_name(f"{path.stem}-int8.xml"), compress_to_fp16=False)


def rows(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(model, runtime, file) of every row that can be measured here."""
    from ssd300.cpu import native_bf16

    rounded = native_bf16()
    for backbone in OURS:
        for precision in ("f32", "bf16", "int8"):
            if precision != "bf16" or rounded:
                file = f"{backbone}-int8.xml" if precision == "int8" else f"{backbone}.safetensors"
                yield f"ssd300-{backbone}", f"ssd300 {precision}", folder / file
    for path in sorted(folder.glob("*.onnx")):
        for runtime in RUNTIMES:
            if "bf16" not in runtime or rounded:
                int8 = path.with_name(f"{path.stem}-int8.xml")
                yield path.stem, runtime, int8 if "int8" in runtime else path


def measure(runtime: str, model: Path, folder: Path) -> dict[str, float]:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else a clone of ssd300 would be compiled in every cold start
    command = [sys.executable, str(HERE / "compare_row.py"), runtime, str(model), str(folder)]
    cold = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*command, "--once"], check=True, stdout=subprocess.DEVNULL)
        cold.append(time.perf_counter() - start)
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    size = sum(path.stat().st_size for path in (model, model.with_suffix(".bin")) if path.exists())
    return json.loads(answer) | {"cold_start_s": round(statistics.median(cold), 2), "model_mb": round(size / 1e6, 1)}


def machine() -> dict[str, Any]:
    from ssd300.cpu import cpu_flags, default_threads

    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    return {
        "cpu": names[0] if names else platform.processor(),
        "threads": default_threads(),
        "flags": [flag for flag in wanted if flag in cpu_flags()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("ssd300", "openvino", "onnxruntime", "torch", "nncf")},
    }


def install_sizes(folder: Path) -> dict[str, Any]:
    own = {name: round(installed_mib(name)) for name in ("ssd300", "openvino", "onnxruntime")}
    packages = folder / "packages.json"
    return {"ways": own, "packages": json.loads(packages.read_text()) if packages.exists() else {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", type=Path, help="folder that compare_export.py filled")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no row after these")
    parser.add_argument("--again", action="store_true", help="forget what was measured on this machine")
    parser.add_argument("--models-only", action="store_true", help="make the model files and stop")
    parser.add_argument("--page", action="store_true", help="write the page from the JSON")
    options = parser.parse_args()
    if not options.page:
        began = time.monotonic()
        make_models(MODELS, options.others)
        if options.models_only:
            return
        result = json.loads(RESULT.read_text()) if RESULT.exists() else {"machines": []}
        here = machine()
        same = [one for one in result["machines"] if (one["cpu"], one["flags"]) == (here["cpu"], here["flags"])]
        here["rows"] = same[0]["rows"] if same and not options.again else {}
        result["machines"] = [one for one in result["machines"] if kind(one) != kind(here)] + [here]
        result["install"] = install_sizes(MODELS)
        for model, runtime, path in rows(MODELS):
            if f"{model}, {runtime}" not in here["rows"] and time.monotonic() - began < options.seconds:
                here["rows"][f"{model}, {runtime}"] = found = measure(runtime, path, MODELS)
                RESULT.write_text(json.dumps(result, indent=1) + os.linesep)
                print(f"{model:24}{runtime:18}{found}", flush=True)
    PAGE.write_text(page(json.loads(RESULT.read_text())))
    print(PAGE)


if __name__ == "__main__":
    main()
