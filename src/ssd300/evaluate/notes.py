"""Warnings about the metrics, as text."""

from typing import Any


def list_warnings(numbers: dict[str, Any]) -> list[str]:
    """One sentence for each limitation of the metrics of `report_numbers`."""
    data, warnings = numbers["dataset"], [*numbers["data_notes"]]
    trained = (numbers["model"].get("training") or {}).get("data")
    if isinstance(trained, str) and set(trained.removesuffix(" (train)").split("+")) & set(data["name"].split("+")):
        warnings.append(
            f"The model was trained on {trained}: measured on pictures that it has learned, AP is higher than on new "
            "ones. `ssd300 data split` draws the validation set that `ssd300 train` draws with the same seed."
        )
    if numbers["failures"]:
        warnings.append(
            f"{format_count(len(numbers['failures']), 'picture')} could not be read and counted as without "
            f"detections. First: {numbers['failures'][0]['error']}"
        )
    if numbers["classes_only_in_data"]:
        warnings.append(f"The model does not have these classes: {', '.join(numbers['classes_only_in_data'])}.")
    if numbers["detections_of_other_classes"]:
        warnings.append(
            f"{format_count(numbers['detections_of_other_classes'], 'detection')} of classes that the data set "
            f"does not have (it lacks {len(numbers['classes_only_in_model'])} of the model's) did not count."
        )
    if data["crowd_boxes"] or data["ignored_boxes"]:
        warnings.append(
            f"{format_count(data['crowd_boxes'], 'crowd box', 'crowd boxes')} and "
            f"{format_count(data['ignored_boxes'], 'ignored box', 'ignored boxes')} may be matched any number of times "
            f"or not at all, without effect."
        )
    if data["clipped_boxes"] or data["refused_boxes"]:
        warnings.append(
            f"Boxes of the data set: {data['clipped_boxes']:,} clipped to their picture, {data['refused_boxes']:,} "
            f"refused and left out (`ssd300 data check --cases FILE` lists them)."
        )
    if data["pictures_left_out"]:
        warnings.append(
            f"Left out by the published mode: {format_count(data['pictures_left_out'], 'picture')} without boxes."
        )
    return warnings


def format_count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 picture", "1,200 pictures"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
