"""Data sets that other programs write, read by ssd300: pictures, classes and boxes must be those that were given.

    python -m venv others && others/bin/pip install datumaro globox label-studio-sdk
    others/bin/python benchmarks/sets_of_others.py write FOLDER    # every format that they write
    python benchmarks/sets_of_others.py read FOLDER                # a table; with what was read, or the reason why not

Twelve pictures of noise with 1 to 3 boxes of 3 classes, one of them with a space in its name; Datumaro gets them as
train and val.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["cat", "dog", "traffic light"]
CLOSE = 1.0  # pixels: some formats hold whole numbers


def make_truth(folder: Path) -> dict[str, list[list]]:
    """Pictures in `folder`/pictures; stem -> [class, left, top, right, bottom] of each box."""
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir(parents=True)
    truth = {}
    for number in range(12):
        width, height = int(random.integers(80, 160)), int(random.integers(60, 120))
        stem = f"pic{number:03d}"
        Image.fromarray(random.integers(0, 255, (height, width, 3), np.uint8)).save(folder / f"pictures/{stem}.jpg")
        boxes = []
        for _ in range(random.integers(1, 4)):
            left, top = int(random.integers(0, width - 30)), int(random.integers(0, height - 30))
            right, bottom = left + int(random.integers(10, 28)), top + int(random.integers(10, 28))
            boxes.append([CLASSES[random.integers(3)], left, top, right, bottom])
        truth[stem] = boxes
    (folder / "truth.json").write_text(json.dumps(truth))
    return truth


def sizes(folder: Path, truth: dict[str, list[list]]) -> dict[str, tuple[int, int]]:
    return {stem: Image.open(folder / f"pictures/{stem}.jpg").size for stem in truth}


def write_datumaro(folder: Path, truth: dict[str, list[list]]) -> None:
    import datumaro as dm
    from datumaro.components.environment import Environment

    items = []
    for number, ((stem, boxes), (width, height)) in enumerate(
        zip(truth.items(), sizes(folder, truth).values(), strict=True)
    ):
        found = [
            dm.Bbox(x0, y0, x1 - x0, y1 - y0, label=CLASSES.index(name), id=number * 10 + at, group=at)
            for at, (name, x0, y0, x1, y1) in enumerate(boxes, 1)
        ]
        media = dm.Image.from_file(str(folder / f"pictures/{stem}.jpg"), size=(height, width))
        part = "train" if number < 8 else "val"
        items.append(dm.DatasetItem(stem, subset=part, media=media, annotations=found, attributes={"id": number + 1}))
    dataset = dm.Dataset.from_iterable(items, categories=CLASSES)
    for name in sorted(Environment().exporters):
        attempt(folder / "datumaro" / name, lambda out, name=name: dataset.export(str(out), name, save_media=True))


def write_globox(folder: Path, truth: dict[str, list[list]]) -> None:
    from globox import AnnotationSet

    given = AnnotationSet.from_coco(folder / "datumaro/coco_instances/annotations/instances_train.json")
    pictures, ids = folder / "datumaro/coco_instances/images/train", {name: i for i, name in enumerate(CLASSES)}

    def beside(out: Path) -> Path:
        shutil.copytree(pictures, out, dirs_exist_ok=True)
        return out

    def yolo(out: Path, save: str) -> None:
        beside(out / "images")
        getattr(given, save)(out / "labels", label_to_id=ids)
        (out / "classes.txt").write_text("\n".join(CLASSES))

    ways = {
        "labelme": lambda out: given.save_labelme(beside(out)),
        "pascal_voc": lambda out: (beside(out / "JPEGImages"), given.save_pascal_voc(out / "Annotations")),
        "coco": lambda out: given.save_coco(beside(out) / "labels.json", auto_ids=True),
        "openimage": lambda out: given.save_openimage(beside(out) / "boxes.csv"),
        "cvat": lambda out: (beside(out / "images"), given.save_cvat(out / "annotations.xml")),
        "via_json": lambda out: given.save_via_json(beside(out) / "via.json", image_folder=pictures),
        "yolo_v5": lambda out: yolo(out, "save_yolo_v5"),
        "yolo_v7": lambda out: yolo(out, "save_yolo_v7"),
    }
    for name, way in ways.items():
        attempt(folder / "globox" / name, way)


def write_label_studio(folder: Path, truth: dict[str, list[list]]) -> None:
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.converter import Format

    uploads = folder / "uploads" / "upload" / "1"
    uploads.mkdir(parents=True)
    tasks = []
    for number, (stem, (width, height)) in enumerate(sizes(folder, truth).items(), 1):
        shutil.copy(folder / f"pictures/{stem}.jpg", uploads / f"0a1b2c3d-{stem}.jpg")
        results = []
        for at, (name, x0, y0, x1, y1) in enumerate(truth[stem]):
            value = {"x": 100 * x0 / width, "y": 100 * y0 / height, "rotation": 0, "rectanglelabels": [name]}
            value |= {"width": 100 * (x1 - x0) / width, "height": 100 * (y1 - y0) / height}
            common = {"type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0}
            results.append(
                {"id": f"r{at}", "original_width": width, "original_height": height, "value": value} | common
            )
        annotation = {"id": number, "completed_by": 1, "result": results}
        address = f"/data/upload/1/0a1b2c3d-{stem}.jpg"
        tasks.append({"id": number, "data": {"image": address}, "annotations": [annotation], "predictions": []})
    (folder / "tasks.json").write_text(json.dumps(tasks))
    labels = "".join(f'<Label value="{name}"/>' for name in CLASSES)
    shown = f'<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">{labels}'
    config = f"{shown}</RectangleLabels></View>"
    for kind in Format:
        converter = Converter(
            config, str(folder), upload_dir=str(uploads.parents[1] / "upload"), download_resources=True
        )
        attempt(
            folder / "label-studio" / kind.name,
            lambda out, kind=kind, converter=converter: converter.convert(
                str(folder / "tasks.json"), str(out), kind, is_dir=False
            ),
        )


def attempt(out: Path, write) -> None:
    """Write one set; a program that cannot write boxes in a format says so in its own ways."""
    out.mkdir(parents=True)
    try:
        write(out)
    except Exception as error:  # noqa: BLE001, any program's own
        print(f"{out.parent.name}/{out.name} was not written: {type(error).__name__}: {str(error)[:100]}")
        shutil.rmtree(out)


def read(folder: Path) -> None:
    from ssd300.data.load import load_dataset
    from ssd300.errors import SSD300Error

    truth = json.loads((folder / "truth.json").read_text())
    print("| program | format | pictures | boxes | largest difference, px | |\n|---|---|---|---|---|---|")
    for program in ("datumaro", "globox", "label-studio"):
        for path in sorted((folder / program).iterdir()):
            try:
                dataset = load_dataset(path, split="all")
            except SSD300Error as error:
                print(f"| {program} | {path.name} | | | | {' '.join(str(error).split())[:160]} |")
                continue
            worst, words = compare(dataset, truth)
            print(f"| {program} | {path.name} | {len(dataset)} | {dataset.num_boxes} | {worst:.2f} | {words} |")


def compare(dataset, truth: dict[str, list[list]]) -> tuple[float, str]:
    """The largest difference of an edge, and what is wrong."""
    if not dataset.num_boxes:
        return 0.0, "without boxes"
    worst, wrong = 0.0, []
    for picture in dataset.pictures:
        found = picture.annotations
        names = [dataset.classes.name_of_id(i) for i in found.class_ids]
        stem = Path(picture.file_name).stem.rpartition("-")[2]
        rows = sorted([name, *box] for name, box in zip(names, found.boxes_xyxy.tolist(), strict=True))
        expected = sorted(truth[stem])
        if [row[0] for row in rows] != [row[0] for row in expected]:
            wrong.append(stem)
            continue
        for row, other in zip(rows, expected, strict=True):
            worst = max(worst, *(abs(a - b) for a, b in zip(row[1:], other[1:], strict=True)))
    wrong += ["edges"] if worst > CLOSE else []
    return worst, f"WRONG: {', '.join(wrong)}" if wrong else "equal"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["write", "read"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.what == "read":
        read(options.folder)
        return
    truth = make_truth(options.folder)
    write_datumaro(options.folder, truth)
    write_globox(options.folder, truth)
    write_label_studio(options.folder, truth)


if __name__ == "__main__":
    main()
