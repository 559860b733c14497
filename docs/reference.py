"""Write docs/reference/cli.md, the page of every command and option, from the command line itself: `make docs`."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "reference" / "cli.md"
INTRODUCTION = """# Command line

Every command and option, written from the code. Results go to stdout, messages to stderr.

| exit code | meaning |
|---|---|
| 0 | everything is done |
| 1 | some inputs failed; they are listed at the end |
| 2 | nothing could be done: wrong usage, model or data |
| 130 | interrupted; what was done so far is written |

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


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
