"""The report of `ssd300 data check` as tables on stdout."""

from rich.markup import escape
from rich.table import Table

from ssd300.cli.messages import table_console
from ssd300.data.check import FAULT_LEVELS, Report
from ssd300.data.notes import KINDS
from ssd300.terminal import printable

COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}
SHOWN_CLASSES = 12


def print_report(report: Report) -> None:
    """Print totals per split, classes, and one line per kind of case: count, an example and the fix."""
    console = table_console()
    console.print(_totals(report))
    for split, totals in report.totals.items():
        shapes = totals.shapes.sentence() if totals.shapes else "no boxes"
        console.print(f"{_escape(split)}: {_escape(shapes)}", soft_wrap=True)
        console.print(f"{_escape(split)}: {_escape(_classes(totals.boxes_per_class))}", soft_wrap=True)
    if report.cases:
        console.print(_cases(report))
    counts = [(level, report.number(level)) for level in FAULT_LEVELS]
    words = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts)
    console.print(words if report.cases else "No problems found.")
    for sentence in report.messages:
        console.print(_escape(sentence), soft_wrap=True)
    verdict = "accepts this data set." if report.usable else f"rejects this data set: {report.reason}"
    console.print(f"`ssd300 train` {_escape(verdict)}", soft_wrap=True)


def _escape(text: str) -> str:
    """Escape text from a data set for a table: no markup, no escape sequences."""
    return escape("\n".join(printable(line) for line in text.split("\n")))


def _totals(report: Report) -> Table:
    table = Table("split", "format", title=_escape(report.path), title_justify="left")
    for name in ("pictures", "without boxes", "classes", "boxes kept", "clipped", "refused"):
        table.add_column(name, justify="right")
    for column in table.columns:
        column.overflow = "fold"  # on a narrow terminal a heading cut to three letters says nothing
    for split, t in report.totals.items():
        numbers = (t.pictures, t.without_boxes, len(t.boxes_per_class), t.kept, t.clipped, t.refused)
        table.add_row(_escape(split), t.format, *map(str, numbers))
    return table


def _classes(counts: dict[str, int]) -> str:
    """The classes with most boxes, and the number of further ones."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    words = ", ".join(f"{name} {count}" for name, count in ordered[:SHOWN_CLASSES])
    more = len(ordered) - SHOWN_CLASSES
    return f"boxes per class: {words}" + (f" and {more} more classes" if more > 0 else "")


def _cases(report: Report) -> Table:
    table = Table("level", "kind", "cases", "example", "fix", show_lines=True)
    table.columns[2].justify = "right"
    table.columns[3].overflow = "fold"  # or the names of files would be cut
    for kind, count in report.counts().items():
        level = KINDS[kind].level
        example = next(case for case in report.cases if case.kind == kind)
        table.add_row(
            f"[{COLORS[level]}]{level}[/]", kind, str(count), _escape(str(example)), _escape(KINDS[kind].remedy)
        )
    return table
