"""The commands in all documents name verbs, options and scripts that exist; test_readme.py runs some of them."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from ssd300.cli.main import make_app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"),  # it names former options
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name not in ("reference", "notebooks")),
]
CLI = typer.main.get_command(make_app())
GLOBAL = {name for option in CLI.params for name in (*option.opts, *option.secondary_opts)} | {"--help", "-h"}


def commands_of(text: str) -> list[str]:
    """What follows `ssd300` in blocks, indented lines and code within lines."""
    text = text.replace("\\\n", " ")
    blocks = "".join(re.findall(r"^```.*?^```", text, re.M | re.S))
    lines = re.findall(r"^(?:\$ |torchrun .*-- )?ssd300 (.*)", blocks, re.M) + re.findall(
        r"^ {4}ssd300 (.*)", text, re.M
    )
    return lines + re.findall(r"`ssd300 ([^`]+)`", text)


def fault_of(command: str) -> str:
    """What a command names that does not exist; empty if all does."""
    ends = re.split(r"\s(?:#|\||>|&&)(?:\s|$)", f"{command} ")[0]
    words = [word for word in shlex.split(ends.replace("'", '"')) if word != "..."]
    verb, known = CLI, GLOBAL
    while words and isinstance(verb, typer.core.TyperGroup):
        name = words.pop(0)
        if name in GLOBAL or name.isupper():  # a placeholder: VERB
            continue
        if name not in verb.commands:
            return f"{command}: no verb {name}"
        verb = verb.commands[name]
        known = known | {option for one in verb.params for option in (*one.opts, *one.secondary_opts)}
    options = [word.split("=")[0] for word in words if re.match("--?[a-z]", word)]
    return next((f"{command}: no option {option}" for option in options if option not in known), "")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("", ""),
        ("detect a.jpg --conf=0.3 -r  # --gone", ""),
        ("--offline data check pets | less --gone", ""),
        ("find a.jpg", "no verb find"),
        ("data find a.jpg", "no verb find"),
        ("detect a.jpg --gone", "no option --gone"),
    ],
)
def test_what_does_not_exist_is_found(command: str, fault: str) -> None:
    assert fault_of(command) == (f"{command}: {fault}" if fault else "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_name_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [fault for command in commands_of(text) if (fault := fault_of(command))] == []
    text = re.sub(r"(?<!`)`([^`\n]+)\n([^`\n]+)`(?!`)", r"`\1 \2`", text)  # code that goes on in the next line
    scripts = re.findall(r"\bpython ((?:benchmarks|docs|notebooks|\.ci)/[\w/]+\.py)([^`\n]*)", text)
    assert [fault for script, rest in scripts if (fault := fault_of_script(script, rest))] == []


def fault_of_script(script: str, rest: str) -> str:
    """What a script named with arguments lacks, or what they lack; empty if nothing."""
    if not (ROOT / script).is_file():
        return f"no script {script}"
    code, given = (ROOT / script).read_text(encoding="utf-8"), re.findall(r"\s(--[a-z][\w-]*)", rest.split(" #")[0])
    gone = [option for option in given if f'"{option}"' not in code]
    needed = [
        option for option in re.findall(r'"(--[\w-]+)",[^\n]*required=True', code) if given and option not in given
    ]
    return f"{script}: no option {gone}, needs {needed}" if gone or needed else ""


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("", ""),
        (" --data x --batch-size 4  # --gone", ""),
        (" --batch-size 4", "no option [], needs ['--data']"),
        (" --data x --gone", "no option ['--gone'], needs []"),
    ],
)
def test_what_a_script_lacks_is_found(arguments: str, fault: str) -> None:
    script = "benchmarks/train_memory.py"
    assert fault_of_script(script, arguments) == (f"{script}: {fault}" if fault else "")


def test_commands_are_found_in_all_forms() -> None:
    text = "a `ssd300 info x`\n\n    ssd300 data \\\n  check\n\n```\n$ ssd300 serve\ntorchrun -m -- ssd300 train\n```\n"
    assert [" ".join(one.split()) for one in commands_of(text)] == ["serve", "train", "data check", "info x"]
