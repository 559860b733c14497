"""What README.md and the pages for users show works: Python blocks are run, commands go through the command line."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from command import ssd300

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/detect.md", "docs/migrate.md", "docs/install.md", "docs/model-file.md")
WRITTEN_BY_MAKE = ("reference/", "notebooks/")
RUN = ("detect", "models", "info", "doctor")  # verbs that are cheap enough to be run as written


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands() -> list[str]:
    lines = (line for document in DOCUMENTS for block in blocks(document, "sh") for line in block.splitlines())
    return [line for line in lines if line.startswith("ssd300 ")]


def runs_as_written(command: str) -> bool:
    words = shlex.split(command, comments=True)
    users_own = any(Path(word).suffix in (".mp4", ".safetensors") or word == "new_pictures" for word in words)
    return words[1] in RUN and not users_own


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A folder that looks like a clone: the documents' relative paths hold in it."""
    for name in ("src", "hubconf.py", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("document", "code"),
    [(document, block) for document in DOCUMENTS for block in blocks(document, "python") if "torch.hub" not in block],
)
def test_python_blocks_run(document, code, clone, shared_cache, capsys) -> None:
    exec(compile(code, document, "exec"), {})
    assert capsys.readouterr().out


def test_the_hub_block_runs_on_a_checkpoint_in_the_cache(clone, own_cache, capsys, monkeypatch) -> None:
    """A seeded file lies where the published one would, so nothing is downloaded."""
    torch = pytest.importorskip("torch")
    from ssd300.learn.network import SSD300

    monkeypatch.setenv("SSD300_OFFLINE", "1")
    torch.manual_seed(0)
    own_cache.mkdir(exist_ok=True)
    torch.save({"model": SSD300("resnet50").state_dict()}, own_cache / "nvidia_ssdpyt_amp_200703.pt")
    (code,) = (block for block in blocks("README.md", "python") if "torch.hub" in block)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("]\n")


@pytest.mark.parametrize("command", [c for c in commands() if runs_as_written(c)])
def test_commands_run(command, clone) -> None:
    done = ssd300(*shlex.split(command, comments=True)[1:])
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_make_targets_exist() -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    lines = "\n".join(block for document in ("README.md", "CONTRIBUTING.md") for block in blocks(document, "sh"))
    for target in re.findall(r"^make (\S+)", lines, re.M):
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


PAGES = [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/*/*.md"))]


@pytest.mark.parametrize("page", [page for page in PAGES if page.parts[:2] != ("docs", "notebooks")], ids=str)
def test_links_lead_to_files(page) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"(?<!`)\]\(<?([^)#>\s]+)", text)
    gone = [one for one in targets if ":" not in one and not ((ROOT / page).parent / one).exists()]
    assert [one for one in gone if not one.startswith(WRITTEN_BY_MAKE)] == []


def test_the_compatibility_page_names_options_that_exist() -> None:
    from inspect import signature

    from ssd300.cli.benchmark import benchmark
    from ssd300.cli.train import train

    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    table = text[text.index("| `main.py` |") :]
    options = {
        verb: {f"--{name.replace('_', '-')}" for name in signature(verb).parameters} for verb in (train, benchmark)
    }
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| `--")]
    assert len(cells) == 33
    for cell in cells:
        known = options[benchmark if "ssd300 benchmark" in cell else train] | {"--published"}
        assert set(re.findall(r"--[a-z-]+", cell)) <= known, cell


def test_python_blocks_are_found() -> None:
    assert len(blocks("README.md", "python")) == 2
    assert len(commands()) >= 10
