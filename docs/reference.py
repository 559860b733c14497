"""Write docs/reference: cli.md from the command line itself, and copies of the repository's pages: `make docs`."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
COPIES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
INTRODUCTION = """# Command line

Every command and option, with exit codes, environment variables and the files that are written. Results go to stdout,
messages to stderr. `ssd300 --install-completion` makes your shell complete commands and options.

| exit code | meaning |
|---|---|
| 0 | everything is done |
| 1 | some inputs failed; they are listed at the end. `data check`: errors were found |
| 2 | nothing could be done: wrong usage, model or data |
| 130 | interrupted with Ctrl-C; what was done so far is written |
| 143, 129 | ended by SIGTERM, or as its terminal closed; no file is left incomplete. `serve` ends with 0 |

| environment variable | effect |
|---|---|
| `SSD300_OFFLINE=1` | forbids any use of the network, as `--offline` |
| `SSD300_CACHE=FOLDER` | the folder of downloads and compiled models; `ssd300 doctor` shows it |
| `SSD300_ALLOW_PRIVATE_URLS=1` | allows pictures and streams from private address ranges |
| `SSD300_DEBUG=1` | shows where an error came from, as `--debug` |
| `NO_COLOR=1` | prints tables without colors and bold text |
| `OMP_NUM_THREADS=N` | threads of `ssd300 train` on a CPU |
| `ONEDNN_MAX_CPU_ISA=AVX2` | runs the network as on an older CPU |

| command | writes, unless an option names another place |
|---|---|
| `detect`, `track` | drawn pictures and videos: `runs/detect/1`, `2`, ...; with `--no-save` nothing |
| `train` | the run: `runs/train/1`, `2`, ... |
| `quantize` | the model file itself; for a `.pt`, `MODEL.int8.safetensors` beside it |
| `data view`, `data split` | `data-view`, `split` |
| all that detect in INT8 | the compiled graph, in the cache |

"""


def page() -> str:
    """The page in Markdown: the help of `ssd300`, then a section a command."""
    sections = [INTRODUCTION + block("ssd300")]
    for verb in commands("ssd300"):
        sections.append(f"## ssd300 {verb}\n\n{block('ssd300', verb)}")
        sections += [f"### ssd300 {verb} {sub}\n\n{block('ssd300', verb, sub)}" for sub in commands("ssd300", verb)]
    return "\n".join(sections)


def commands(*words: str) -> list[str]:
    """The names below the line "Commands:" of a help text."""
    listed = re.search(r"^Commands:\n((?:  .*\n?)+)", help_of(*words), re.M)
    return re.findall(r"^  (\w[\w-]*)", listed[1], re.M) if listed else []


def block(*words: str) -> str:
    return f"```text\n{help_of(*words)}```\n"


def help_of(*words: str) -> str:
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", *words, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return text.replace("python -m ssd300", "ssd300").replace("Usage: -m ssd300", "Usage: ssd300").strip() + "\n"


def copy_of(name: str) -> str:
    """A page of the repository whose links hold in docs/reference."""
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](../")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "cli.md").write_text(page(), encoding="utf-8")
    for name in COPIES:
        (FOLDER / name.lower()).write_text(copy_of(name), encoding="utf-8")
