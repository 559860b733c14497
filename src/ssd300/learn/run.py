"""The folder of a training run: settings, results, and the state from which it resumes exactly.

recipe.json       all settings, notes on the data, and versions
results.csv       one line per epoch
last.pt           the resumable state: weights, optimizer, averages, position in the run, best result so far
best.safetensors  the best weights so far, with metadata, ready for detection
curves.png, samples.jpg   losses and AP by epoch; validation pictures with true (left) and found boxes (right)
run.lock          locked by the process that trains here
"""

import csv
import hashlib
import io
import json
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ssd300.errors import TrainingError
from ssd300.files import replacing, try_lock, unwritable, write_whole
from ssd300.learn.loader import ReaderLostError
from ssd300.terminal import leave_closed_terminal
from ssd300.weights.torch_file import SEAL

STATE, RECIPE, RESULTS, BEST, LOCK = "last.pt", "recipe.json", "results.csv", "best.safetensors", "run.lock"
CURVES, SAMPLES = "curves.png", "samples.jpg"
_PARTS = {"network", "optimizer", "scaler", "averaged", "progress", "recipe"}


@dataclass
class Position:
    """The position of a run: the next step, the clock, the epoch's losses so far, and the best result.

    seconds: of steps; wall: of everything, resumed parts included; measuring: of the longest validation.
    epoch_losses: sums of box and class loss, and the number of batches.
    since_best: validations since the best one. measured: whether the last epoch ended with one.
    conditions: start, data and the like as text, so that the run is not resumed with others.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    pictures_seen: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    measuring: float = 0.0
    epoch_losses: tuple[float, float, int] = (0.0, 0.0, 0)
    best_ap: float = -1.0
    since_best: int = 0
    measured: bool = False
    conditions: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def advance(self, pictures: int, seconds: float) -> None:
        """Count one step."""
        self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
        self.pictures_seen, self.seconds = self.pictures_seen + pictures, self.seconds + seconds

    def next_epoch(self, *, measured: bool) -> None:
        """Count an epoch, after which the run was validated or not."""
        self.epoch, self.step_in_epoch, self.epoch_losses = self.epoch + 1, 0, (0.0, 0.0, 0)
        self.measured = measured

    def is_over(self, time_share: float, patience: int) -> bool:
        """Whether the run ends here: its patience is used up, or its time, and what it learned last was measured."""
        measured = self.measured and not self.step_in_epoch  # else the current epoch ends it, with a validation
        return (time_share >= 1 and measured) or 0 < patience <= self.since_best

    def time_share(self, limit: float | None) -> float:
        """The used fraction of the time for training: `limit` seconds minus one validation at the end."""
        return 0.0 if limit is None else self.wall / max(limit - self.measuring, 1e-9)


def numbered_folder(parent: Path) -> Path:
    """Create the first of parent/1, parent/2, ... that does not exist. Two calls never get the same."""
    folder = parent
    try:
        parent.mkdir(parents=True, exist_ok=True)  # apart: a link to nowhere is a FileExistsError, too
        for number in count(1):
            folder = parent / str(number)
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise unwritable(folder, error) from error
    raise AssertionError


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder and lock it for this process. Raises TrainingError if another one trains in it."""
    handle = try_lock(folder / LOCK)
    if handle is None:
        raise TrainingError(f"another process trains in {folder}: wait for it, or give another --out")
    try:
        yield
    finally:
        os.close(handle)  # and with it the lock, also when the process is killed


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write last.pt with a checksum at its end. Raises OutputError; the earlier state is then kept."""
    content = io.BytesIO()
    torch.save(state, content)
    with replacing(folder / STATE) as part, part.open("wb") as file:
        file.write(content.getbuffer())
        file.write(SEAL + hashlib.sha256(content.getbuffer()).hexdigest().encode())


def refuse_used(folder: Path) -> None:
    """Raises TrainingError if the folder has a run, or files that a new one would replace."""
    if os.path.lexists(folder / STATE):
        raise TrainingError(f"{folder} holds a run already: continue it (--resume), or give another --out")
    own = os.path.lexists(folder / LOCK)  # a run has it before its settings
    for name in (BEST, RESULTS, CURVES, SAMPLES, *(() if own else (RECIPE,))):
        if os.path.lexists(folder / name):
            raise TrainingError(
                f"{folder} holds {name}, which a run would replace: give another --out, or move it away"
            )


def remove_unfinished(folder: Path) -> None:
    """Delete unfinished checkpoints of killed processes."""
    for part in folder.glob(f".{STATE}.*.tmp"):
        part.unlink(missing_ok=True)


def load_state(folder: Path) -> dict[str, Any]:
    """The state of an interrupted run. Read with `weights_only`: it has tensors and plain values, never code.

    Raises TrainingError if there is none, or if it has changed.
    """
    path = folder / STATE
    if not path.exists():
        raise TrainingError(f"{path} does not exist: there is no run to resume in {folder}; start one without --resume")
    damaged = f"{path} is damaged: restore it from a copy, or start again from {BEST} (--start) with another --out"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    content, seal, checksum = data.rpartition(SEAL)
    if seal and hashlib.sha256(content).hexdigest().encode() != checksum:
        raise TrainingError(f"{damaged} (its checksum does not fit)")
    try:  # a state without a seal is of an older version
        state: dict[str, Any] = torch.load(io.BytesIO(content or data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, OSError) as error:
        raise TrainingError(f"{damaged} ({str(error).splitlines()[0] if str(error) else 'it is empty'})") from error
    if not isinstance(state, dict) or not state.keys() >= _PARTS:
        raise TrainingError(f"{damaged} (it is not the state of a training run)")
    return state


def write_recipe(folder: Path, settings: dict[str, Any]) -> None:
    write_whole(folder / RECIPE, json.dumps(settings, indent=2).encode() + b"\n")


def write_results(folder: Path, history: list[dict[str, float]]) -> None:
    """Write all epochs so far; the file is replaced, so a resumed run never repeats a line."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    with replacing(folder / RESULTS) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Inside, Ctrl-C, SIGTERM, a closed terminal and Ctrl-Break only append to the list: the step can end and be saved.

    A SIGHUP that is ignored, as by nohup, stays ignored. The handler from before gets the first signal at the end: the
    command line notes it for the exit code.

    Raises KeyboardInterrupt for the loader's RuntimeError when the same signal killed a process it was just starting.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        closed = number == getattr(signal, "SIGHUP", None)
        if closed:
            leave_closed_terminal()
        if not received:
            received.append(number)
        elif not closed:  # which comes twice: from the shell and from the system
            raise KeyboardInterrupt  # the second one stops immediately

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield received
        return
    stops = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGBREAK", signal.SIGTERM)}
    closed = getattr(signal, "SIGHUP", signal.SIGTERM)
    if signal.getsignal(closed) is not signal.SIG_IGN:
        stops.add(closed)
    old = {number: signal.signal(number, note) for number in stops}
    if hasattr(signal, "SIGCHLD"):  # `batches_of` changes it
        old[signal.SIGCHLD] = signal.getsignal(signal.SIGCHLD)
    try:
        yield received
    except (RuntimeError, ReaderLostError) as error:
        if received and (isinstance(error, ReaderLostError) or str(error).startswith("DataLoader worker")):
            raise KeyboardInterrupt("stopped before a step") from error
        raise
    finally:
        for number, handler in old.items():
            if handler is not None:  # a program's that Python is embedded in: only that program can set it again
                signal.signal(number, handler)
        if received and callable(handler := old[received[0]]):
            with suppress(KeyboardInterrupt):
                handler(received[0], None)
