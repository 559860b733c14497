"""Every tree of docs/data.md is built and read, every format has a section, and all that is recognized is named."""

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from data.sets import SIZE, TRUTH, coco_content, found, line, pictures, voc_text, write
from data.test_labelme import labelme
from ssd300.data.dataset import Dataset
from ssd300.data.load import FORMATS, find_parts, load_dataset
from ssd300.data.pack import pack_dataset
from ssd300.data.parts import parse_part
from ssd300.data.unread import _KNOWN

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
SECTIONS = {
    match[1]: match[2]
    for match in re.finditer(r"^### [^\n(]*\(`(\w+)`\)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
}
TREES = [(format, tree) for format, text in SECTIONS.items() for tree in re.findall(r"```\n(.*?)```", text, re.DOTALL)]


def files_of(tree: str) -> dict[PurePosixPath, str]:
    """The files of a tree, two spaces a level, below its first folder; each with what stands behind its `#`."""
    files: dict[PurePosixPath, str] = {}
    above: list[str] = []
    for text in tree.splitlines()[1:]:
        name, _, comment = text.partition("#")
        level = (len(name) - len(name.lstrip())) // 2 - 1
        above[level:] = [name.strip()]
        if not name.strip().endswith("/"):
            files[PurePosixPath(*above)] = comment.strip()
    return files


def covered(file: PurePosixPath, files: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """The pictures that an annotation file speaks of: of its part, else those beside and below it, else all."""
    part = next(filter(None, map(parse_part, (file.stem, *reversed(file.parts[:-1])))), None)
    of_part = [p for p in files if any(parse_part(folder) == part for folder in p.parts[:-1])]
    beside = [p for p in files if p.is_relative_to(file.parent)]
    return (of_part if part else []) or beside or list(files)


def content_of(format: str, file: PurePosixPath, comment: str, stems: str) -> str | list | dict:
    things = [(stem, label, box) for stem in stems for label, box in TRUTH[stem]]
    if format == "coco":
        return coco_content(stems)
    if file.suffix in (".yaml", ".data"):
        return comment.replace(", ", "\n") + ("\nnames: [cat, dog]\n" if file.suffix == ".yaml" else "\n")
    if file.name in ("obj.names", "classes.txt"):
        return "cat\ndog\n"
    if format in ("yolo", "voc") and file.suffix == ".txt":
        return f"{comment}\n" if comment else "".join(line(*thing) for thing in TRUTH[file.stem])
    if format == "kitti":
        return "".join(f"{label} 0 0 0 {' '.join(map(str, box))} 1 1 1 1 1 1 0\n" for _, label, box in things)
    if format == "voc":
        return voc_text(file.stem, TRUTH[file.stem])
    if format == "labelme":
        return labelme(file.stem)
    if format == "csv":
        return table(file.name, things)
    return {"cvat": cvat, "createml": createml, "via": via}[format](stems)


def cvat(stems: str) -> str:
    box = '<box label="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'
    images = [
        f'<image name="{stem}.jpg">{"".join(box.format(label, *edges) for label, edges in TRUTH[stem])}</image>'
        for stem in stems
    ]
    return f"<annotations>{''.join(images)}</annotations>"


def createml(stems: str) -> list:
    def entry(label: str, x1: float, y1: float, x2: float, y2: float) -> dict:
        center = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1}
        return {"label": label, "coordinates": center}

    return [{"image": f"{stem}.jpg", "annotations": [entry(n, *box) for n, box in TRUTH[stem]]} for stem in stems]


def via(stems: str) -> dict:
    def region(label: str, x1: float, y1: float, x2: float, y2: float) -> dict:
        shape = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
        return {"shape_attributes": shape, "region_attributes": {"class": label}}

    return {
        stem: {"filename": f"{stem}.jpg", "size": 1, "regions": [region(n, *box) for n, box in TRUTH[stem]]}
        for stem in stems
    }


def table(name: str, things: list) -> str:
    if name.startswith("class-descriptions"):
        return "/m/cat,cat\n/m/dog,dog\n"
    if name == "train-annotations-bbox.csv":
        rows = [f"{s},/m/{n},{a / SIZE[0]},{c / SIZE[0]},{b / SIZE[1]},{d / SIZE[1]}" for s, n, (a, b, c, d) in things]
        return "\n".join(["ImageID,LabelName,XMin,XMax,YMin,YMax", *rows])
    if name == "_annotations.csv":
        rows = [f"{s}.jpg,{n},{','.join(map(str, box))}" for s, n, box in things]
        return "\n".join(["filename,class,xmin,ymin,xmax,ymax", *rows])
    return "\n".join(f"{s}.jpg,{','.join(map(str, box))},{n}" for s, n, box in things)


def build(root: Path, format: str, tree: str) -> str:
    """Write the files of a tree; the stems of its pictures."""
    files = files_of(tree)
    shown = [file for file in files if file.suffix in (".jpg", ".png")]
    for file in shown:
        pictures(root / file.parent, file.suffix, file.stem)
    for file, comment in files.items():
        if file not in shown:
            stems = "".join(picture.stem for picture in covered(file, shown))
            stems = file.stem if format == "kitti" else stems
            write(root / file, content_of(format, file, comment, stems))
    return "".join(file.stem for file in shown)


@pytest.mark.parametrize(("format", "tree"), TREES, ids=[f"{format}: {tree.splitlines()[0]}" for format, tree in TREES])
def test_every_tree_is_read(tmp_path: Path, format: str, tree: str) -> None:
    root = tmp_path / "set"
    if format == "pack":
        build(tmp_path / "coco", "coco", TREES[0][1])
        for file in files_of(tree):
            pack_dataset(load_dataset(tmp_path / "coco"), root / file)
        assert {part.split for part in find_parts(root)} == {"train", "val"}
        return
    stems = build(root, format, tree)
    assert {part.format for part in find_parts(root)} == {format}
    dataset: Dataset = load_dataset(root, split="all")
    assert found(dataset) == {stem: TRUTH[stem] for stem in stems}
    assert not [note for note in dataset.notes if note.action != "noted" or "missing" in note.kind]


def test_every_format_has_a_section_with_a_tree() -> None:
    assert sorted(SECTIONS) == sorted(FORMATS)
    assert {format for format, _ in TREES} == set(FORMATS)


def test_all_that_is_recognized_is_named() -> None:
    section = " ".join(PAGE[PAGE.index("### Recognized, not read") :].split())
    assert [what for what, *_ in _KNOWN if what not in section] == []


def test_the_helper_reads_trees() -> None:
    assert files_of("pets/\n") == {}
    tree = "pets/   # x\n  a/\n    b.txt    # one, two\n    c/\n      d.jpg\n  e.jpg\n"
    expected = {"a/b.txt": "one, two", "a/c/d.jpg": "", "e.jpg": ""}
    assert json.dumps({str(k): v for k, v in files_of(tree).items()}) == json.dumps(expected)
