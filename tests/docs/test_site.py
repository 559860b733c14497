"""The documentation site: every page is in the menu once, and what people come for is near the front page."""

import re
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CLICKS = 2
NOTEBOOKS = sorted((DOCS.parent / "notebooks").glob("*.ipynb"))
WRITTEN_BY_MAKE = {
    *(f"reference/{name}.md" for name in ("cli", "architecture", "changelog", "contributing", "security")),
    *(f"notebooks/{path.stem}.md" for path in NOTEBOOKS),
}
TASKS = (  # what a new user wants, the page that answers, and words of the answer
    ("install it", "install.md", "pip install ."),
    ("find objects in my pictures", "detect.md", "ssd300 detect"),
    ("count objects in a video", "video.md", "--line"),
    ("know whether it is good enough, or what to take instead", "research/comparison.md", "YOLO"),
    ("train on my own pictures", "own-pictures.md", "ssd300 train"),
    ("bring boxes from CVAT or labelme", "data.md", "CVAT"),
    ("label with a model's help", "labeling.md", "ssd300 data autolabel"),
    ("make a model faster", "quantize.md", "ssd300 quantize"),
    ("use a model from C++ or a browser", "export.md", "```cpp"),
    ("put it behind an address", "serve.md", "ssd300 serve"),
    ("move from torch.hub or ultralytics", "migrate.md", "ultralytics"),
    ("look up what a result holds", "results.md", "box_xyxy"),
    ("know how to cite it, whether it is free for commercial use", "questions.md", "Apache-2.0"),
)


def menu() -> list[str]:
    """The pages of the menu, in its order."""

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        inner = entry if isinstance(entry, list) else list(entry.values())
        return [page for one in inner for page in pages(one)]

    return pages(tomllib.loads((DOCS.parent / "zensical.toml").read_text())["project"]["nav"])


def linked(page: str) -> set[str]:
    """The pages that the text of a page leads to; the menu is not counted."""
    if page in WRITTEN_BY_MAKE:
        return set()
    targets = re.findall(r"\]\(([^):#]+\.md)", (DOCS / page).read_text(encoding="utf-8"))
    return {((DOCS / page).parent / target).resolve().relative_to(DOCS).as_posix() for target in targets}


def near() -> set[str]:
    reached = {"index.md"}
    for _ in range(CLICKS):
        reached |= {target for page in reached for target in linked(page)}
    return reached


@pytest.mark.parametrize(("task", "page", "words"), TASKS)
def test_a_task_is_two_clicks_from_the_front_page(task, page, words) -> None:
    assert page in near(), f"to {task}, link {page} from index.md or from a page that it links"
    assert words in (DOCS / page).read_text(encoding="utf-8")


def test_the_menu_holds_every_page_once() -> None:
    pages = menu()
    assert len(set(pages)) == len(pages)
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert written | WRITTEN_BY_MAKE == set(pages)


def test_a_page_has_its_name_in_the_menu() -> None:
    names = dict(re.findall(r'"([^"]+)" = "([^"]+\.md)"', (DOCS.parent / "zensical.toml").read_text(encoding="utf-8")))
    pages = {page: name for name, page in names.items() if page not in WRITTEN_BY_MAKE}
    titles = {page: re.search("^# (.+)", (DOCS / page).read_text(encoding="utf-8"), re.M)[1] for page in pages}
    assert titles == pages


def test_pictures_are_there_used_and_small() -> None:
    used = set()
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md")):
        for target in re.findall(r"!\[[^\]]+\]\(([^):]+)\)", page.read_text(encoding="utf-8")):
            used.add((page.parent / target).resolve())
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
    assert set((DOCS / "images").iterdir()) <= used
    assert all(path.stat().st_size < 130_000 for path in used)


def test_every_environment_variable_is_on_the_page_of_the_command_line() -> None:
    from ssd300.cli.doctor import SETTINGS

    text = (DOCS / "reference.py").read_text(encoding="utf-8")
    read = {
        name for path in (DOCS.parent / "src").rglob("*.py") for name in re.findall(r'"(SSD300_\w+)"', path.read_text())
    }
    assert read <= set(SETTINGS)
    assert set(SETTINGS) == set(re.findall(r"^\| `(\w+)=", text, re.M))
