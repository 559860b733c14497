"""The README as PyPI shows it, where no file of the repository lies beside it: no link in it is relative."""

import re
from email import message_from_string
from pathlib import Path

import pytest
from hatchling.build import prepare_metadata_for_build_wheel
from hatchling.builders.sdist import SdistBuilder
from hatchling.metadata.spec import get_core_metadata_constructors

ROOT = Path(__file__).parents[2]
HOME = "https://github.com/owner/ssd300"


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]*)\)", text)


@pytest.mark.parametrize("home", ["", HOME, f"{HOME}/"])
def test_links_lead_somewhere(home, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_HOME", home)
    monkeypatch.chdir(ROOT)
    name = prepare_metadata_for_build_wheel(str(tmp_path))
    metadata = message_from_string((tmp_path / name / "METADATA").read_text(encoding="utf-8"))
    text = metadata.get_payload()
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    if home:
        tag = f"v{metadata['Version']}"
        expected = [
            one if one.startswith("#") else f"{HOME}/{'raw' if one.endswith('.jpg') else 'blob'}/{tag}/{one}"
            for one in links(page)
        ]
        assert links(text) == expected
        assert metadata.get_all("Project-URL")[0] == f"Source, {HOME}"
    else:
        assert links(text) == [one for one in links(page) if one.startswith("#")]
        assert "](docs/" in page
        assert "Against other detectors ·" in text  # links become their text
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Metadata-Version"] == "2.4"  # the newest that the release workflow's upload understands


def test_the_source_distribution_is_what_the_build_reads() -> None:
    builder = SdistBuilder(str(ROOT))
    files = {Path(one.distribution_path) for one in builder.recurse_included_files()}
    names = {path.as_posix() for path in files if path.parts[0] != "src"}
    hook = builder.metadata.hatch.config["metadata"]["hooks"]["custom"]["path"]
    assert names == {"CHANGELOG.md", "LICENSE", "NOTICE", "README.md", "hubconf.py", hook}
    assert builder.config.core_metadata_constructor is get_core_metadata_constructors()["2.4"]
