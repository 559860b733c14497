"""The command line in this process: it answers as `python -m ssd300` does, without the second of a process's start."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssd300.cli import main
from ssd300.detector import Detector

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_load, _loaded = Detector.load, {}


def ssd300(
    *arguments: object, cwd: Path | None = None, stdin: bytes = b"", encoding: str = "utf-8", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command: its exit code, and what it wrote to stdout (as UTF-8) and stderr.

    encoding: of the streams before the command line sets its own. The environment, the folder, the signal handlers and
    the warnings are afterwards as before. A model file that stays as it is is loaded once for all calls.
    """
    command = ["ssd300", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    with _restored(), pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        streams = {"stdin": io.TextIOWrapper(io.BytesIO(stdin)), "stdout": out, "stderr": err}
        for name, value in {"argv": command, **streams}.items():
            patch.setattr(sys, name, value)
        patch.setattr(Detector, "load", _load_once)
        os.environ.update(environment)
        if cwd:
            patch.chdir(cwd)
        code = _code_of(main.run)
    for stream in (out, err):
        stream.flush()
    shown = (stream.buffer.getvalue().decode("utf-8") for stream in (out, err))
    return subprocess.CompletedProcess(command, code, *shown)


def _code_of(run: Any) -> int:
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt as stop:
        return stop.args[0]
    return 0


def _load_once(model: Any = "default", **options: Any) -> Detector:
    path = Path(model)
    state = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else ()
    key = (str(path.resolve()) if state else str(model), state, *sorted(options.items()))
    if key not in _loaded:
        _loaded[key] = _load(model, **options)
    return _loaded[key]


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    environment, handlers = dict(os.environ), {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
