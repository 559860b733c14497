"""`ssd300 evaluate --tracks`: the scores of tracks on the truth of a video."""

import json
from dataclasses import asdict
from pathlib import Path

from ssd300.errors import ArgumentError
from ssd300.tracking.mot import read_mot, score_mot

_WORDS = {
    "hota": "HOTA: finding and following objects, over all overlaps",
    "detection_accuracy": "DetA: finding them",
    "association_accuracy": "AssA: keeping their ids",
    "localization_accuracy": "LocA: overlap of the boxes that match",
    "idf1": "IDF1: boxes with the right id throughout",
    "mota": "MOTA: 1 less the share of misses, false positives and id switches",
    "motp": "MOTP: overlap of the boxes that match at 0.5",
}


def print_track_scores(data: list[str], tracks: Path, *, as_json: bool) -> None:
    """Print the scores of a MOT file on a MOT file of the truth, or on a sequence's folder. Raises DatasetError."""
    if len(data) != 1:
        raise ArgumentError(f"--tracks is scored on one file of truth, and --data names {len(data)}")
    truth = Path(data[0])
    if truth.is_dir():  # a sequence as the MOT challenge lays it out
        truth = truth / "gt" / "gt.txt"
    scores = asdict(score_mot(read_mot(truth), read_mot(tracks)))
    if as_json:
        print(json.dumps(scores, indent=1))
        return
    for name, words in _WORDS.items():
        print(f"  {scores[name]:.3f}   {words}")
    for name in ("matches", "misses", "false_positives", "id_switches"):
        print(f"  {scores[name]:5d}   {name.replace('_', ' ')}")
