"""Reads the public test suites of YAML, XML and JSON as annotation files: each is read correctly or refused.

    python benchmarks/markup.py FOLDER ...

A folder holds one suite; the ending of a file tells its kind. Every file is read as a file of a data set: YAML as a
data.yaml, XML and JSON as annotations. "equal": as the standard library or PyYAML reads it (keys of the top level;
elements, attributes and text; values). "refused": both refuse it, or ssd300 alone by one of its rules. Every other file
(another exception, different content, more than 10 s) is listed, and the exit code is 1.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from ssd300.data.markup import parse_xml
from ssd300.data.reading import read_json
from ssd300.data.yolo.describe import is_description, read_yaml
from ssd300.errors import SSD300Error

SECONDS = 10


def keys_of(path: Path) -> Any:
    """The keys of a YAML file's top level in lower case, by PyYAML's loader; None if it is not a mapping."""
    root = next(iter(yaml.compose_all(path.read_bytes(), Loader=yaml.SafeLoader)), None)
    if not isinstance(root, yaml.MappingNode):
        return None
    return sorted({str(key.value).casefold() for key, _ in root.value if isinstance(key, yaml.ScalarNode)}) or None


def own_keys(path: Path) -> Any:
    """The same keys, as ssd300 reads a data.yaml: `is_description` finds one, `read_yaml` reports what is missing."""
    from ssd300.data.yolo.describe import _pairs

    is_description(path)
    try:
        read_yaml(path)
    except SSD300Error as error:
        if "not valid YAML" in str(error) or "nested" in str(error):
            raise
    return sorted(dict(_pairs(path))) or None


def tree_of(path: Path) -> Any:
    return shape(ElementTree.fromstring(path.read_bytes()))  # the oracle


def shape(element: Any) -> Any:
    return element.tag, sorted(element.attrib.items()), element.text, [(shape(one), one.tail) for one in element]


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {  # ending -> ours, theirs
    ".yaml": (own_keys, keys_of),
    ".xml": (lambda path: shape(parse_xml(path)), tree_of),
    ".json": (read_json, lambda path: json.loads(path.read_bytes())),
}


def outcome(path: Path) -> tuple[str, str]:
    """(outcome, detail) of reading one file."""
    ours, theirs = READERS[path.suffix.lower()]
    expected = refused = None
    try:
        expected = theirs(path)
    except (ValueError, yaml.YAMLError, ElementTree.ParseError, RecursionError, LookupError) as error:
        refused = error
    start = time.perf_counter()
    try:
        found = ours(path)
    except SSD300Error as error:
        return ("refused by both" if refused else "refused by a rule"), str(error)
    except Exception as error:  # noqa: BLE001, that is what is looked for
        return "WRONG", f"{type(error).__name__}: {error}"
    if time.perf_counter() - start > SECONDS:
        return "WRONG", f"took {time.perf_counter() - start:.0f} s"
    if refused:
        return "read by a rule", f"{type(refused).__name__}: {' '.join(str(refused).split())}"
    return ("equal", "") if repr(found) == repr(expected) else ("WRONG", f"{found!r:.200} instead of {expected!r:.200}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    folders, wrong = parser.parse_args().folder, 0
    print("| suite | files | equal | refused by both | refused by a rule | read by a rule | wrong |")
    print("|---|---|---|---|---|---|---|")
    told: list[str] = []
    for folder in folders:
        files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in READERS and path.is_file()]
        results = {path: outcome(path) for path in files}
        counts = Counter(word for word, _ in results.values())
        words = ("equal", "refused by both", "refused by a rule", "read by a rule", "WRONG")
        print(f"| {folder.name} | {len(files)} | {' | '.join(str(counts[word]) for word in words)} |")
        told += [f"{path.relative_to(folder)}: {word}: {text[:300]}" for path, (word, text) in results.items()
                 if word in ("WRONG", "refused by a rule", "read by a rule")]  # fmt: skip
        wrong += counts["WRONG"]
    print(*told, sep="\n", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
