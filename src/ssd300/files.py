"""Write files atomically: a file appears under its name only when it is complete. Also the sha256 of a file."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ssd300.errors import ModelError, OutputError

_LONGEST_STEM = 100  # bytes of a temporary name, which must stay within the 255 bytes of a file name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file name beside `path` to write to; on exit its bytes are on disk as `path`.

    After an error the temporary file is removed and `path` is unchanged. A process killed between any two steps
    leaves the old `path` or the new one. The permissions are those of any new file (the umask decides).

    Raises:
        OutputError: `path` exists and is not a regular file, its folder cannot be written, or the disk is full.
    """
    refuse_special(path)
    with temporary_beside(path) as temporary, _name_in_errors(path):
        permissions = temporary.stat().st_mode & 0o777
        yield temporary
        temporary.chmod(permissions)  # some writers replace the file by one that only its owner can read
        publish(temporary, path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a new, empty file in the folder of `path`; on exit it is removed, unless it was renamed.

    Raises OutputError if it cannot be created. The umask decides its permissions.
    """
    temporary = path.with_name(_temporary_name(path))
    try:
        with _name_in_errors(path):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; on exit it is renamed to `path`. After an error it is removed.

    An empty folder stays and gets its entries: it may be the current one, a link or a volume. Raises OutputError if it
    cannot be created or filled. The umask decides its permissions.
    """
    with _name_in_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.is_dir()
        with scratch_beside(path / "new" if there else path) as temporary:
            yield temporary
            if not there:
                _rename(temporary, path)
            elif list(path.iterdir()) != [temporary]:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            else:
                for entry in temporary.iterdir():
                    _rename(entry, path / entry.name)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` for files that are moved when complete; removed on exit. Raises OutputError."""
    folder = path.with_name(_temporary_name(path))
    try:
        with _name_in_errors(path):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _name_in_errors(path: Path) -> Iterator[None]:
    """Convert errors of writing, also of temporary files, to OutputErrors that name `path`."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error
    except OutputError as error:
        if isinstance(error.__cause__, OSError):
            raise unwritable(path, error.__cause__) from error
        raise


def _temporary_name(path: Path) -> str:
    return f".{os.fsencode(path.name)[:_LONGEST_STEM].decode(errors='ignore')}.{secrets.token_hex(4)}.tmp"


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished file of the same folder to `path`, with fsync before and after. Raises OSError, OutputError."""
    refuse_special(path)
    with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())
    _rename(temporary, path)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _rename(old: Path, new: Path) -> None:
    """Rename, replacing `new`. Windows refuses it while a program, such as a virus scanner, has one of them open."""
    for pause in (0.05, 0.2, 1.0) if os.name == "nt" else ():
        with suppress(PermissionError):
            old.replace(new)
            return
        time.sleep(pause)
    old.replace(new)


def lock_file(handle: int, *, wait: bool) -> None:
    """Lock an open file until it is closed, also by the end of the process.

    Without `wait`, raises OSError if another process has locked it.
    """
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:
                if not wait or error.errno != errno.EDEADLOCK:  # Windows ends a wait after ten seconds
                    raise
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(path: Path) -> int | None:
    """Create a lock file, and the folders above it, and lock it: its handle, or None if another process has the lock.

    The lock ends when the handle is closed, also by the end of the process. Raises OutputError, also without locks.
    """
    with _name_in_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        lock_file(handle, wait=False)
    except OSError as error:
        os.close(handle)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):  # of Windows; others are not about another process
            raise unwritable(path, error) from error
        return None
    return handle


def is_filled(folder: Path) -> bool:
    """Whether a folder that is to be written has entries. Raises OutputError if it cannot be read."""
    try:
        return any(folder.iterdir())
    except OSError as error:
        raise unwritable(folder, error) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, and create the folders above it. Raises OutputError.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "new" / "notes.txt"
    >>> write_whole(target, b"whole")
    >>> target.read_bytes()
    b'whole'
    """
    with _name_in_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def path_from(folder: Path, path: Path) -> str:
    """The path of a file relative to a folder, with slashes; right also where a link leads to the folder."""
    try:
        relative, real = os.path.relpath(path, folder), os.path.realpath(folder)
        if real != os.path.abspath(folder):  # from there .. leads elsewhere, unless the file lies behind the same link
            found = os.path.realpath(os.path.normpath(os.path.join(real, relative)))
            relative = relative if found == os.path.realpath(path) else os.path.relpath(path, real)
    except ValueError:  # another drive of Windows, or a network folder that has a drive's letter: the whole path
        return Path(os.path.abspath(path)).as_posix()
    return Path(relative).as_posix()


def looked_from(path: str | Path) -> str:
    """Where a relative path that does not exist was looked for, for a message; empty for an absolute one."""
    return "" if os.path.isabs(path) else f" (looked from {current_folder()})"


def current_folder() -> str:
    """The current folder, for a message."""
    try:
        return os.getcwd()
    except OSError:
        return "the current folder, which no longer exists"


def refuse_special(path: Path) -> None:
    """Raise OutputError if `path` exists and is not a regular file, or one that this user may not write.

    Renaming would replace them all: a device node, a FIFO, a socket or a link by a file, and what is protected against
    writing by a file that is not. Call this before any work.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:  # new, or its folder cannot be read: writing there says so
        return
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path}: cannot be written: it is {_kind(mode)}; choose another name")
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: cannot be written: it exists and is read-only for you; choose another name")


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for a file that cannot be written, with the remedy."""
    reason = error.strerror or str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space and run it again" if full else "choose another folder"
    return OutputError(f"{path}: cannot be written: {reason}; {remedy}")


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file's bytes, 64 hexadecimal digits. Raises ModelError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error


def _kind(mode: int) -> str:
    return {
        stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }.get(stat.S_IFMT(mode), "not a regular file")  # fmt: skip
