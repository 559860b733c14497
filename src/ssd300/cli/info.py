"""`ssd300 info`: describe a model file."""

import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.cli.messages import print_json
from ssd300.cli.options import Json
from ssd300.terminal import printable

if TYPE_CHECKING:
    from ssd300.weights.facts import FileFacts

_NAMES_SHOWN = 12


def info(
    model: Annotated[str, typer.Argument(metavar="FILE", help="A model file, or a name that `ssd300 models` lists.")],
    as_json: Json = False,
) -> None:
    """Show the metadata of a model file.

    Classes, training, metric, license, precision, sha256.
    """
    from ssd300.weights.catalog import resolve
    from ssd300.weights.facts import examine

    facts = examine(resolve(model))
    if as_json:
        print_json(_report(facts), indent=2)
    else:
        typer.echo(_format_text(facts))


def _report(facts: "FileFacts") -> dict[str, Any]:
    return {
        "path": str(facts.path),
        "kind": facts.kind,
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256,
        "tensors": facts.tensors,
        "parameters": facts.parameters,
        "precision_bytes": facts.precision,
        "metadata": json.loads(facts.metadata.to_json()) if facts.metadata else None,
    }


def _format_text(facts: "FileFacts") -> str:
    from ssd300.cli.models import describe_metric

    total = sum(facts.precision.values())
    shares = [f"{kind} {100 * n / total:.1f} %" for kind, n in facts.precision.items() if n]
    lines: dict[str, Any] = {
        "file": facts.path,
        "kind": facts.kind,
        "size": f"{facts.size_bytes / 2**20:.1f} MiB",
        "sha256": facts.sha256,
        "precision": ", ".join(shares),
    }
    if facts.parameters is not None:
        lines["parameters"] = f"{facts.parameters:,} in {facts.tensors} tensors"
    if metadata := facts.metadata:
        names = metadata.classes.names
        more = f", ... ({len(names)} in all)" if len(names) > _NAMES_SHOWN else ""
        lines |= {
            "name": metadata.name,
            "backbone": metadata.backbone,
            "classes": ", ".join(names[:_NAMES_SHOWN]) + more,
            "metric": describe_metric(metadata.metric),
            "license": metadata.licence,
            "parent": metadata.parent_sha256,
        } | {f"training {key}": value for key, value in (metadata.training or {}).items()}
    lines = {printable(key): value for key, value in lines.items() if value not in (None, "")}
    width = max(map(len, lines)) + 2
    columns = shutil.get_terminal_size().columns  # 80 where there is no terminal
    return "\n".join(
        textwrap.fill(
            printable(_format_value(value)), max(columns, width + 20), initial_indent=f"{key:<{width}}",
            subsequent_indent=" " * width, break_long_words=False, break_on_hyphens=False,
        ) or key
        for key, value in lines.items()
    )  # fmt: skip


def _format_value(value: Any) -> str:
    """A value of the metadata without JSON's punctuation."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_format_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
