"""Write the detectors of other packages as ONNX files with random weights, for `compare.py --others FOLDER`.

Run it with the Python of an environment that has these packages: `pip install ultralytics` (AGPL-3.0), `pip install
rfdetr onnx` (Apache-2.0). Each package exports its own model definition with its own command; nothing is downloaded.

    python benchmarks/compare_export.py FOLDER
"""

import argparse
import json
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def installed_mib(package: str) -> float:
    """Installed size of a package and of its required dependencies."""
    seen: set[str] = set()
    waiting, size = [package], 0
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        size += sum(path.stat().st_size for file in found.files or () if (path := Path(str(file.locate()))).is_file())
        for line in found.requires or ():
            words, _, marker = line.partition(";")
            if "extra" not in marker:
                waiting.append(words.split("[")[0].split("(")[0].strip(" <>=!~.,0123456789").strip())
    return size / 2**20


def yolo(folder: Path) -> None:
    from ultralytics import YOLO

    for name in ("yolo11n", "yolo26n"):
        for side in (320, 640):
            written = YOLO(f"{name}.yaml").export(format="onnx", imgsz=side)
            shutil.move(written, folder / f"{name}-{side}.onnx")


def rfdetr(folder: Path) -> None:
    from rfdetr import RFDETRNano

    RFDETRNano(pretrain_weights=None, device="cpu").export(output_dir=str(folder))
    (folder / "rfdetr-nano.onnx").rename(folder / "rfdetr-nano-384.onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    packages = {}
    for package, export in (("ultralytics", yolo), ("rfdetr", rfdetr)):
        if find_spec(package) is None:
            print(f"{package} is not installed: left out", file=sys.stderr)
            continue
        export(folder)
        packages[package] = {"version": metadata.version(package), "installed_mib": round(installed_mib(package))}
    (folder / "packages.json").write_text(json.dumps(packages, indent=1))


if __name__ == "__main__":
    main()
