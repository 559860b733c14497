"""The report of `ssd300 benchmark`: one dict, as JSON or as a table followed by the settings."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ssd300.benchmark.measure import Measured
from ssd300.cli.doctor import examine_machine

_PIPED_WIDTH = 160  # characters where stdout is no terminal
_COLUMNS = {  # key of a row -> heading, format
    "calls": ("calls", "{:d}"),
    "median_ms": ("median ms", "{:.2f}"),
    "p95_ms": ("p95 ms", "{:.2f}"),
    "core_ms": ("core-ms", "{:.2f}"),
    "pictures_per_second": ("pictures/s", "{:.1f}"),
    "share": ("share of {}", "{:.3f}"),
    "peak_memory_mib": ("peak MiB", "{:.0f}"),
}


def report(what: str, settings: dict[str, Any], measured: Measured) -> dict[str, Any]:
    """What was measured, the settings, the rows, and the machine as reported by `ssd300 doctor`.

    Call it after measuring: it imports OpenVINO. The versions of torch and onnxruntime appear if they were used.
    """
    machine = examine_machine()
    used = {
        "torch": "torch" in sys.modules,
        "onnxruntime": settings.get("runtime") == "onnx",
    }
    runtimes = {"torch": machine["runtimes"]["torch"], "onnxruntime": machine["runtimes"]["onnx"]}
    return {
        "what": what,
        "settings": settings | measured.facts,
        "rows": [row.to_dict() for row in measured.rows],
        "share_of": measured.share_of,
        "peak_memory_mib": measured.peak_mib,
        "versions": machine["versions"] | {name: runtimes[name] for name, took_part in used.items() if took_part},
        "cpu": machine["cpu"],
        "threads": machine["threads"],
    }


def print_table(numbers: dict[str, Any]) -> None:
    """Print the rows as a table, without empty columns, then everything else line by line."""
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    rows = numbers["rows"]
    shown = [key for key in _COLUMNS if any(row[key] is not None for row in rows)]
    table = Table(escape(numbers["what"]))
    for key in shown:
        table.add_column(_COLUMNS[key][0].format(numbers["share_of"]), justify="right")
    for row in rows:
        cells = ["–" if row[key] is None else _COLUMNS[key][1].format(row[key]) for key in shown]
        table.add_row(escape(row["name"]), *cells)
    console.print(table)
    peak = numbers["peak_memory_mib"]
    facts = numbers["settings"] | ({} if peak is None else {"peak memory of this process": f"{peak:.0f} MiB"})
    for title in ("settings", "versions", "cpu", "threads"):
        lines = facts if title == "settings" else numbers[title]
        wide = max(map(len, lines))
        console.print(title)
        for name, value in lines.items():
            shown_value = f"{value:.2f}" if isinstance(value, float) else value
            console.print(escape(f"  {name:<{wide}}  {shown_value}"), soft_wrap=True)
