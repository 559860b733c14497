"""The report of an evaluation in a browser."""

import json
from pathlib import Path

import pytest

from command import ssd300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PICTURES = Path(__file__).parents[2] / "examples" / "images"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Of thirty classes, so that its tables scroll."""
    pytest.importorskip("hotcoco", reason="hotcoco is not installed")
    folder = tmp_path_factory.mktemp("report")
    truth = {
        "images": [{"id": 1, "file_name": str(PICTURES / "coffee.jpg"), "width": 600, "height": 400}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": i, "bbox": [i, i, 50, 50], "area": 2500, "iscrowd": 0}
            for i in range(1, 31)
        ],
        "categories": [{"id": 1, "name": "cup"}, *({"id": i, "name": f"class {i}"} for i in range(2, 31))],
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    done = ssd300("evaluate", "--data", folder / "truth.json", "--report", folder)
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, PHONE])
def test_the_report_can_be_used_by_everybody(opened, axe, report, look) -> None:
    watched = opened(report.as_uri(), **look)
    watched.page.evaluate(axe)
    found = watched.page.evaluate("axe.run().then((result) => result.violations)")
    harmless = ("minor",)
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] not in harmless] == []
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (watched.outside(report.as_uri()), watched.faults) == ([], [])


def test_its_pictures_are_there_before_anybody_scrolls(opened, report) -> None:
    """A print and a picture of the whole page have them, too."""
    page = opened(report.as_uri()).page
    assert page.evaluate("[...document.images].map((one) => one.naturalWidth > 0)") == [True]
