"""Mutation testing: how many small faults in the mathematics, planted one at a time, the tests detect.

    python benchmarks/mutations.py [--files postprocess.py boxes.py] [--sample 40] [--seed 0] [--seconds 2400]

A fault is a changed comparison, operator or number, a dropped minus or `not`, or a return value of None. Each mutant
runs in a fork of this process, which has imported the libraries but not ssd300; only the tests listed in TESTS run.
Survivors are printed as `file:line: before -> after`.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).parents[1]
TESTS = {
    "postprocess.py": ["test_postprocess.py", "parity/test_decode.py"],
    "boxes.py": ["test_boxes.py", "test_postprocess.py"],
    "priors.py": ["parity/test_reference_core.py", "learn/test_schedule.py"],
    "learn/losses/truths.py": ["learn/test_losses.py", "parity/test_learn.py"],
    "learn/losses/multibox.py": ["parity/test_learn.py", "learn/test_losses.py"],
    "learn/losses/aligned.py": ["learn/test_losses.py"],
    "evaluate/bootstrap.py": ["evaluate/test_bootstrap.py"],
    "evaluate/coco.py": ["evaluate/test_coco.py", "parity/test_evaluate.py"],
    "evaluate/diagnosis.py": ["evaluate/test_diagnosis.py"],
    "evaluate/matches.py": ["evaluate/test_matches.py", "evaluate/test_diagnosis.py"],
    "evaluate/run.py": ["evaluate/test_run.py"],
    "tiles.py": ["test_tiles.py"],
    "detections.py": ["test_detections.py"],
    "formats.py": ["test_formats.py", "test_detections.py"],
    "images/resize.py": ["images/test_resize.py", "parity/test_prepare.py"],
    "tracking/assignment.py": ["tracking/test_assignment.py"],
    "tracking/bytetrack.py": ["tracking/test_tracker.py"],
    "tracking/counting.py": ["tracking/test_counting.py"],
    "tracking/kalman.py": ["tracking/test_kalman.py", "tracking/test_tracker.py"],
    "tracking/metrics.py": ["tracking/test_metrics.py"],
    "tracking/mot.py": ["tracking/test_mot.py"],
    "learn/augment.py": ["learn/test_augment.py"],
    "learn/blanks.py": ["learn/test_blanks.py"],
    "learn/recipe.py": ["learn/test_recipe.py", "learn/test_schedule.py", "parity/test_learn.py"],
    "learn/winograd.py": ["learn/test_winograd.py"],
}
_OTHER = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """Each mutant of a file: `line: before -> after`, and its tree."""
    for number in range(len(list(_places(ast.parse(source))))):
        tree = ast.parse(source)
        node = list(_places(tree))[number]
        before = ast.unparse(node)
        after = _mutate(node)
        yield f"{node.lineno}: {before} -> {after}", tree


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes to mutate, without error messages, types and documentation."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.FunctionDef):
            yield from (place for part in (*node.body, node.args) for place in _places(ast.Module([part], [])))
            continue
        if isinstance(node, ast.arg) or (isinstance(node, ast.BinOp) and _is_type(node)):
            continue
        if isinstance(node, ast.AnnAssign):
            yield from _places(ast.Module([node.value], [])) if node.value else ()
            continue
        compares = isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OTHER
        operates = isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in _OTHER
        drops = isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant)
        numbers = isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float)
        if compares or operates or drops or numbers or (isinstance(node, ast.Return) and node.value):
            yield node
        yield from _places(node)


def _is_type(node: ast.BinOp) -> bool:
    """Whether the node is a type `A | B`, as in isinstance."""
    return isinstance(node.op, ast.BitOr) and all(isinstance(side, ast.Name) for side in (node.left, node.right))


def _mutate(node: ast.AST) -> str:
    """Change the node in place; returns it as text."""
    match node:
        case ast.Compare():
            node.ops = [_OTHER[type(node.ops[0])]()]
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            node.op = _OTHER[type(node.op)]()
        case ast.UnaryOp():
            text = ast.unparse(node.operand)
            node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
            if isinstance(node.op, ast.Not):  # ~x and not x become x
                node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
                return text
        case ast.Constant():
            node.value = not node.value if isinstance(node.value, bool) else node.value + 1
        case ast.Return():
            node.value = ast.Constant(None)
    return ast.unparse(node)


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """A finder that imports one module from the given code."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return self.code

    def get_source(self, fullname: str) -> str:
        return self.path.read_text("utf-8")


def is_noticed(file: str, tree: ast.Module, seconds: float) -> bool | None:
    """Whether the tests of a file fail on a mutant; None if they take longer than `seconds`."""
    child = os.fork()
    if not child:
        _run_tests(file, tree)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_tests(file: str, tree: ast.Module) -> None:
    import pytest

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    path = ROOT / "src" / "ssd300" / file
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    sys.meta_path.insert(0, _Planted("ssd300." + file.removesuffix(".py").replace("/", "."), path, code))
    tests = [str(ROOT / "tests" / name) for name in TESTS[file]]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take longer to start than the tests run
    usual = ["-c", os.devnull, f"--rootdir={ROOT}", "--import-mode=importlib", "-o", f"pythonpath={ROOT / 'tests'}"]
    os._exit(int(pytest.main([*usual, "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", choices=TESTS, default=list(TESTS), metavar="FILE")
    parser.add_argument("--sample", type=int, default=40, help="mutants a file, drawn with the seed; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2400, help="for all files together")
    options = parser.parse_args()
    import numpy  # noqa: F401
    import openvino  # noqa: F401
    import PIL.Image  # noqa: F401
    import pycocotools.cocoeval  # noqa: F401
    import torch

    torch.set_num_threads(1)
    end = time.monotonic() + options.seconds
    for done, file in enumerate(options.files):
        source = (ROOT / "src" / "ssd300" / file).read_text("utf-8")
        share = (end - time.monotonic()) / (len(options.files) - done)
        print_file(file, source, options.sample, options.seed, time.monotonic() + share)


def print_file(file: str, source: str, sample: int, seed: int, end: float) -> None:
    start = time.monotonic()
    if is_noticed(file, ast.parse(source), 600) is not False:
        raise SystemExit(f"{file}: its tests fail, or do not end, without any mutant")
    usual = time.monotonic() - start
    planted = list(mutants(source))
    chosen = random.Random(seed).sample(planted, min(sample or len(planted), len(planted)))
    counts, survivors = {True: 0, False: 0, None: 0}, []
    for words, tree in chosen:
        if time.monotonic() > end:
            break
        noticed = is_noticed(file, tree, 10 * usual + 20)
        counts[noticed] += 1
        if noticed is False:
            survivors.append(words)
    tried = sum(counts.values())
    ended = f", {counts[None]} did not end" if counts[None] else ""
    print(f"{file}: {tried - counts[False]} of {tried} noticed{ended} ({len(planted)} in all, tests {usual:.1f} s)")
    for words in sorted(survivors, key=lambda text: int(text.split(":")[0])):
        print(f"  {file}:{words}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
