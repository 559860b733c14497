"""Where a download can be put when the cache cannot be written."""

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path


def writable(path: Path) -> Path:
    """`path`, or where its folder cannot be written, the same name in a folder that is removed when the process ends.

    A cache that cannot be kept never stops a detection: one warning says so.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        folder = _folder_of_this_run()
        warnings.warn(
            f"{path.parent}: cannot be written ({error.strerror or error}), so {path.name} is downloaded for this run "
            "only; set SSD300_CACHE to a folder to keep it",
            stacklevel=2,
        )
        return folder / path.name


@cache
def _folder_of_this_run() -> Path:
    folder = tempfile.mkdtemp(prefix="ssd300-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
