"""Damaged video files: frames in order, or an error of ours."""

import random
from itertools import pairwise

import pytest

from ssd300.errors import SSD300Error
from ssd300.images.video import frames
from video.clips import CODECS, write_clip


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The clip with some bytes changed, a piece missing, doubled, or cut off."""
    changed = bytearray(data)
    for _ in range(draw.choice([1, 5, 50])):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    place, size = draw.randrange(len(changed)), draw.randrange(1, 400)
    kind = draw.randrange(4)
    if kind == 1:
        del changed[place : place + size]
    elif kind == 2:
        changed[place:place] = changed[place : place + size]
    elif kind == 3:
        del changed[place:]
    return bytes(changed)


def run_mutants(folder, count: int) -> int:
    """How many of `count` mutants gave frames; any error but ours fails."""
    draw = random.Random(8)
    originals = [
        write_clip(folder / f"{codec}.{ending}", 8, codec=codec, size=(96, 64)).read_bytes()
        for codec, ending in CODECS.items()
    ]
    good = 0
    for number in range(count):
        path = folder / "mutant.mp4"
        path.write_bytes(mutated(originals[number % len(originals)], draw))
        try:
            found = list(frames(path, tell=lambda line: None))
        except SSD300Error:
            continue
        good += 1
        assert all(a.index < b.index and a.time_s < b.time_s for a, b in pairwise(found))
    return good


def test_mutated_clips_give_frames_or_our_errors(tmp_path) -> None:
    assert 0 < run_mutants(tmp_path, 120) <= 120


@pytest.mark.slow
def test_a_thousand_mutated_clips(tmp_path) -> None:
    assert 0 < run_mutants(tmp_path, 1000) <= 1000
