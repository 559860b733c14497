"""Choose a folder for a download if the cache cannot be written."""

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

from ssd300.errors import OutputError


def choose_writable(path: Path) -> Path:
    """`path`, or if its folder cannot be written, the same name in a folder that is removed when the process ends.

    A cache that cannot be written is a warning, not an error. Raises OutputError where there is no other folder either.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        try:
            folder = _folder_of_this_run()
        except OSError as none:
            words = f"{path.parent}: cannot be written ({error.strerror or error}), nor any folder of temporary files"
            raise OutputError(f"{words}; set SSD300_CACHE to a folder that can be") from none
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
