"""`ssd300 models`: list the models that have a name, and where they are."""

import textwrap
from typing import TYPE_CHECKING, Any

import typer

from ssd300.cli.messages import print_json, say
from ssd300.cli.options import Json

if TYPE_CHECKING:
    from ssd300.weights.catalog import CatalogEntry


def models(as_json: Json = False) -> None:
    """List the models that have a name.

    They are bundled, cached or downloadable.

    This verb downloads nothing: a model is downloaded when its name is given to another verb.
    """
    from ssd300.weights.catalog import CATALOG, cache_folder

    rows = [_row(entry) for entry in CATALOG]
    if as_json:
        print_json(rows, indent=2)
        return
    for row in rows:
        size = "unknown" if row["size_bytes"] is None else f"{row['size_bytes'] / 2**20:.1f} MiB"
        typer.echo(f"{row['name']:<22}{row['state']:<14}{size}")
        for words in (row["metric"], row["licence"]):
            typer.echo(textwrap.fill(words, 78, initial_indent="  ", subsequent_indent="    "))
    say(f"Downloads go to {cache_folder()}.")


def _row(entry: "CatalogEntry") -> dict[str, Any]:
    from ssd300.weights.checkpoint import read_metadata

    about = None if entry.size_mib is None else round(entry.size_mib * 2**20)
    row: dict[str, Any] = {
        "name": entry.name,
        "kind": entry.kind,
        "state": entry.state,
        "size_bytes": entry.path.stat().st_size if entry.is_here else about,
        "metric": entry.metric,
        "licence": entry.licence,
        "path": str(entry.path),
        "url": entry.url,
    }
    if entry.state == "bundled":
        metadata = read_metadata(entry.path)
        row |= {"metric": describe_metric(metadata.metric), "licence": metadata.licence}
    return row


def describe_metric(metric: dict[str, Any] | None) -> str:
    """One line about the metric of a model.

    >>> describe_metric({"AP": 0.1234, "AP50": 0.25, "interval": [0.1, 0.15], "dataset": "coco_dev", "pictures": 500})
    'AP 0.123 (0.100 to 0.150), AP50 0.250 on 500 pictures of coco_dev'
    >>> describe_metric(None)
    'not known'
    """
    if not metric:
        return "not known"
    parts = []
    for name in ("AP", "AP50"):
        if isinstance(value := metric.get(name), int | float):
            parts.append(f"{name} {value:.3f}")
    match metric.get("interval"):
        case [int() | float() as low, int() | float() as high] if parts:
            parts[0] += f" ({low:.3f} to {high:.3f})"
    where = f" on {metric['pictures']} pictures" if "pictures" in metric else ""
    where += f"{' of' if where else ' on'} {metric['dataset']}" if "dataset" in metric else ""
    return (", ".join(parts) or "measured") + where
