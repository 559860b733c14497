"""The report of `ssd300 data check` as tables on stdout."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ssd300.data.check import FAULT_LEVELS, Report
from ssd300.data.kinds import KINDS
from ssd300.terminal import printable

PIPED_WIDTH = 160  # characters where stdout is no terminal
COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}
SHOWN_CLASSES = 12


def print_report(report: Report) -> None:
    """Totals per split, classes, then one line for each kind of case with its number, an example and the remedy."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    console.print(_totals(report))
    for split, totals in report.totals.items():
        console.print(f"{_safe(split)}: {_safe(totals.shapes.sentence())}", soft_wrap=True)
        console.print(f"{_safe(split)}: {_safe(_classes(totals.boxes_per_class))}", soft_wrap=True)
    if report.cases:
        console.print(_cases(report))
    counts = [(level, report.number(level)) for level in FAULT_LEVELS]
    words = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts)
    console.print(words if report.cases else "Nothing found: the data set is sound.")
    for sentence in report.said:
        console.print(_safe(sentence), soft_wrap=True)
    verdict = "would take it" if report.usable else f"would stop: {report.reason}"
    console.print(f"`ssd300 train` {_safe(verdict)}", soft_wrap=True)


def _safe(text: str) -> str:
    """Text from a data set as it may stand in a table: no markup, no escape sequences."""
    return escape("\n".join(printable(line) for line in text.split("\n")))


def _totals(report: Report) -> Table:
    table = Table("split", "format", title=_safe(report.path), title_justify="left")
    for column in ("pictures", "without boxes", "classes", "boxes kept", "clipped", "refused"):
        table.add_column(column, justify="right")
    for split, t in report.totals.items():
        numbers = (t.pictures, t.without_boxes, len(t.boxes_per_class), t.kept, t.clipped, t.refused)
        table.add_row(_safe(split), t.format, *map(str, numbers))
    return table


def _classes(counts: dict[str, int]) -> str:
    """The classes with most boxes, and how many more there are."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    words = ", ".join(f"{name} {count}" for name, count in ordered[:SHOWN_CLASSES])
    more = len(ordered) - SHOWN_CLASSES
    return f"boxes per class: {words}" + (f" and {more} more classes" if more > 0 else "")


def _cases(report: Report) -> Table:
    table = Table("level", "kind", "cases", "for example", "what to do", show_lines=True)
    table.columns[2].justify = "right"
    for kind, count in report.counts().items():
        level = KINDS[kind].level
        example = next(case for case in report.cases if case.kind == kind)
        table.add_row(f"[{COLORS[level]}]{level}[/]", kind, str(count), _safe(str(example)), _safe(KINDS[kind].remedy))
    return table
