"""`ssd300 data view`: contact sheets of pictures with their boxes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.cli.options import DataPath, InputFormat, Split, split_labels
from ssd300.errors import DatasetError, unknown_name

if TYPE_CHECKING:
    from ssd300.data.dataset import Dataset
    from ssd300.data.view import Augment


def view(
    path: DataPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the sheets.")] = Path("data-view"),
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Pictures to draw, chosen with the seed.")] = 24,
    augment: Annotated[str, typer.Option(help="Also show each picture augmented: none, published or modern.")] = "none",
    labels: Annotated[
        list[str] | None, typer.Option(metavar="NAME,...", help="Only pictures with one of these classes.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same pictures.")] = 0,
    tile: Annotated[int, typer.Option(min=32, max=2000, help="Side of a picture on the sheet, in pixels.")] = 300,
    split: Split = None,
    input_format: InputFormat = None,
) -> None:
    """Draw contact sheets of pictures with their boxes.

    PNG files; with --augment, each picture before and after augmentation.
    """
    import numpy as np

    from ssd300.data.load import load_dataset
    from ssd300.data.view import draw_sheets

    dataset = load_dataset(path, format=input_format, split=split)
    chosen = _find_with_classes(dataset, labels)
    if not chosen:
        raise DatasetError(f"nothing to draw: {dataset.summary()}" + "; none has one of --labels" * bool(labels))
    positions = np.random.default_rng(seed).permutation(chosen)[:number].tolist()
    augmenting = _make_augment(augment) if augment != "none" else None
    for sheet in draw_sheets(dataset, out, sorted(positions), augment=augmenting, tile=tile, seed=seed):
        typer.echo(sheet)


def _find_with_classes(dataset: "Dataset", labels: list[str] | None) -> list[int]:
    """Positions of the pictures with at least one of the named classes; all without names."""
    if not labels:
        return list(range(len(dataset)))
    chosen = split_labels(labels, dataset.classes.names) or []
    ids = {dataset.classes.ids[dataset.classes.position_of(label)] for label in chosen}
    return [i for i, p in enumerate(dataset.pictures) if ids & set(p.annotations.class_ids.tolist())]


def _make_augment(name: str) -> "Augment":
    """The augmentation of training, for `draw_sheets`: the labels are positions, to identify the boxes afterwards."""
    import numpy as np

    from ssd300.learn.augment import DRAWS, Sample, augmented

    if name not in DRAWS:
        raise unknown_name("augmentation", name, DRAWS)

    def augment(rgb: Any, unit_xyxy: Any, positions: Any, crowd: Any, rng: Any) -> tuple[Any, Any, Any]:
        doubtful = np.zeros(len(positions), bool)
        sample = augmented(name, Sample(rgb, unit_xyxy, positions, doubtful, crowd), rng)
        return sample.picture, sample.boxes_xyxy, sample.labels

    return augment
