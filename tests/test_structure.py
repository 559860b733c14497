"""What ARCHITECTURE promises of the whole package: no import circle, and one meaning for each public name."""

import ast
import re
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import ssd300

ROOT = Path(ssd300.__file__).parent
FILES = {
    ".".join(("ssd300", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(
        path.read_text("utf-8")
    )
    for path in ROOT.rglob("*.py")
}
# One function of each format of data and of pictures, called through its module.
VERBS = {"autolabel", "convert", "evaluate", "export", "quantize", "rank", "train"}  # in cli/, as what they call
OF_EACH_FORMAT = {"find", "read", "write", "write_split", "split_files", "unread_kind"}


def imported(tree: ast.AST) -> set[str]:
    """The package's modules that are imported when the module is; what only type checkers read does not count."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{name.name}" for name in node.names} & FILES.keys()
            found |= inside or {node.module} & FILES.keys()
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names} & FILES.keys()
        elif (
            not isinstance(node, ast.FunctionDef)
            and "TYPE_CHECKING" not in ast.unparse(getattr(node, "test", node))[:20]
        ):
            found |= imported(node)
    return found


def public_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, ast.Attribute) and node.value.attr == ast.unparse(targets[0]):
                continue  # DOWNLOAD_SECONDS = limits.DOWNLOAD_SECONDS is the same thing
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_no_import_circle() -> None:
    graph = {name: imported(tree) - {name} for name, tree in FILES.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert order.index("ssd300.errors") < order.index("ssd300.flow") < order.index("ssd300.learn.train")


def test_only_the_flow_finishes_detections() -> None:
    """One picture in `flow`, batches in `many`: a call of `finish` elsewhere would be a second flow."""
    users = {
        module
        for module, tree in FILES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and "finish" in {name.name for name in node.names})
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("finish", "flow.finish"))
    }
    assert users == {"ssd300.flow", "ssd300.many"}


def test_every_public_name_has_one_meaning() -> None:
    homes = defaultdict(set)
    for module, tree in FILES.items():
        if not module.startswith("ssd300.frozen"):
            verbs = VERBS if module.startswith("ssd300.cli") else set()
            for name in public_names(tree) - OF_EACH_FORMAT - verbs - {"sys"}:
                homes[name].add(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_the_paths_and_names_in_architecture_exist() -> None:
    text = (ROOT.parents[1] / "ARCHITECTURE.md").read_text("utf-8")
    folders = (ROOT.parents[1], ROOT, ROOT / "learn", ROOT / "learn" / "losses")
    places = {token for token in re.findall(r"`([\w./-]+)`", text) if re.search(r"/|\.(py|md|toml)$", token)}
    assert len(places) > 50
    assert [place for place in sorted(places) if not any((folder / place).exists() for folder in folders)] == []
    names = re.findall(r"(?:`(\w+)` and )?`(\w+)` of `([\w/]+\.py)`", text)
    assert len(names) >= 4
    for *several, place in names:
        defined = public_names(ast.parse((ROOT / place).read_text("utf-8")))
        assert set(filter(None, several)) <= defined, place
