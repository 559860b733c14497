"""`ssd300 evaluate --tracks`: score tracks against the ground truth of a video."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ssd300.errors import ArgumentError
from ssd300.terminal import printable
from ssd300.tracking.mot import read_mot, score_mot

_WORDS = {
    "hota": "HOTA: detection and association, over all IoU thresholds",
    "detection_accuracy": "DetA: detection accuracy",
    "association_accuracy": "AssA: association accuracy (ids)",
    "localization_accuracy": "LocA: mean IoU of matched boxes",
    "idf1": "IDF1: F1 score of boxes with the correct id",
    "mota": "MOTA: 1 minus the rate of misses, false positives and id switches",
    "motp": "MOTP: mean IoU of boxes matched at 0.5",
}


def print_track_scores(data: list[str], tracks: Path, *, as_json: bool) -> None:
    """Print the scores of a MOT file against the ground truth, a MOT file or a sequence folder. Raises DatasetError."""
    if len(data) != 1:
        raise ArgumentError(f"--tracks is scored against one file of ground truth, and --data names {len(data)}")
    truth = Path(data[0])
    if truth.is_dir():  # a sequence in the layout of the MOT challenge
        truth = truth / "gt" / "gt.txt"
    true_tracks, own_tracks = read_mot(truth), read_mot(tracks)
    scores = asdict(score_mot(true_tracks, own_tracks))
    if (0 in own_tracks.frames) != (0 in true_tracks.frames):
        words = f"Frame 0 is only in one of {truth} and {tracks}: are the frames of both counted from 1?"
        print(printable(words), file=sys.stderr)
    if as_json:
        print(json.dumps(scores, indent=1))
        return
    for name, words in _WORDS.items():
        print(f"  {scores[name]:.3f}   {words}")
    for name in ("matches", "misses", "false_positives", "id_switches"):
        print(f"  {scores[name]:5d}   {name.replace('_', ' ')}")
