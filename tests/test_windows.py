"""The rules of Windows, as far as another system can imitate them."""

import ctypes
import errno
import importlib
import io
import ntpath
import os
import subprocess
import sys
import urllib.request
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from data.sets import coco
from ssd300.batch.listing import list_pictures
from ssd300.cli import main, saving
from ssd300.cli.hints import Verbs
from ssd300.cli.video_sources import expand_lists
from ssd300.data.convert import convert_dataset
from ssd300.data.load import load_dataset
from ssd300.data.yolo import listing
from ssd300.data.yolo.describe import Description
from ssd300.errors import ImageError, OutputError
from ssd300.files import path_from, write_whole
from ssd300.images import folders
from ssd300.images.addresses import local_path
from ssd300.labels import COCO
from ssd300.serve.settings import read_keys
from ssd300.terminal import as_argument
from ssd300.weights import checkpoint
from ssd300.weights.catalog import load_weights, resolve

fcntl = pytest.importorskip("fcntl", reason="on Windows the other tests show this")


def test_a_file_is_flushed_while_it_is_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY and not Path(f"/dev/fd/{handle}").is_dir():
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "notes.txt", b"whole")
    assert (tmp_path / "notes.txt").read_bytes() == b"whole"


def test_an_error_of_the_system_keeps_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise checkpoint.SafetensorError("Error: I/O error: There is not enough space on the disk. (os error 112)")

    state, metadata = load_weights(resolve("default"))
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(
        OutputError, match=r"m\.safetensors: cannot be written: There is not enough space on the disk\."
    ):
        checkpoint.write_checkpoint(tmp_path / "m.safetensors", state, metadata)


def test_lists_for_programs_end_their_lines_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text

    def with_returns(path: Path, data: str, encoding: str, errors: Any = None, newline: str | None = None) -> int:
        return write_text(path, data, encoding, errors, newline or "\r\n")

    monkeypatch.setattr(Path, "write_text", with_returns)
    convert_dataset({"train": load_dataset(coco(tmp_path / "pets"))}, tmp_path / "voc", "voc")
    assert (tmp_path / "voc/ImageSets/Main/train.txt").read_bytes() == b"a\nb\nc\n"


def test_a_half_written_file_is_removed_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    file, unlink = Full(), Path.unlink

    def unlink_closed(path: Path, missing_ok: bool = False) -> None:
        if not file.closed:
            raise PermissionError(errno.EACCES, "used by another process")
        unlink(path, missing_ok)

    (tmp_path / "a.jpg").touch()
    monkeypatch.setattr(Path, "open", lambda path, mode: file)
    monkeypatch.setattr(Path, "unlink", unlink_closed)
    with pytest.raises(OSError, match="No space left"):
        saving._write_new(tmp_path / "a.jpg", b"half")
    assert not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize("seconds", [1, 9])
def test_a_file_is_renamed_once_no_other_program_reads_it(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virus scanner opens every new file for a moment."""
    slept, rename = [0.0], Path.replace

    def replace(path: Path, target: Path) -> Path:
        if sum(slept) < seconds:
            raise PermissionError(errno.EACCES, "used by another process")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(os, "name", "nt")
    if seconds == 1:
        write_whole(tmp_path / "notes.txt", b"whole")
    else:
        with pytest.raises(OutputError, match="used by another process"):
            write_whole(tmp_path / "notes.txt", b"whole")
    monkeypatch.undo()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"] * (seconds == 1)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (r"C:\pets\a-1.json", r"C:\pets\a-1.json"),
        (r"my pets\a.json", r'"my pets\a.json"'),
        (r"R&D\a.json", r'"R&D\a.json"'),
        ("it's/**/*", '"it\'s/**/*"'),
    ],
)
def test_a_path_is_one_argument_of_both_shells(path: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    found = as_argument(path)
    monkeypatch.undo()
    assert found == shown


def test_a_network_folder_with_a_drive_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, relative = os.path.realpath, os.path.relpath

    def relpath(path: str, start: str) -> str:
        if str(start).startswith("/nas"):
            raise ValueError("path is on mount 'Z:', start on mount '//nas/pets'")
        return relative(path, start)

    monkeypatch.setattr(os.path, "relpath", relpath)
    monkeypatch.setattr(os.path, "realpath", lambda path: real(path).replace(str(tmp_path / "lists"), "/nas/lists"))
    assert path_from(tmp_path / "lists", tmp_path / "a.jpg") == str(tmp_path / "a.jpg")


def test_patterns_of_arguments_are_left_to_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell of Windows expands them; typer would, also where a file has such a name."""
    for name in ("a1.jpg", "a[1].jpg"):
        (tmp_path / name).touch()
    given: list[str] = []
    app = typer.Typer(cls=Verbs)
    app.callback()(lambda: None)

    @app.command("detect")
    def detect(sources: list[str]) -> None:
        given.extend(sources)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USERPROFILE", r"C:\Users\me")
    monkeypatch.setenv("USERNAME", "me")
    monkeypatch.setattr(os.path, "expanduser", ntpath.expanduser)
    others = ["a[1].jpg", "*.jpg", "http://a.example/$HOME", "~c.jpg"]
    monkeypatch.setattr(sys, "argv", ["ssd300", "detect", *others, "~/b.jpg", "~\\b.jpg"])
    monkeypatch.setattr(os, "name", "nt")
    app(standalone_mode=False)
    assert given == [*others, r"C:\Users\me/b.jpg", r"C:\Users\me\b.jpg"]


def test_results_in_a_pipe_are_those_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, "cp1252", newline="\r\n"))
    main._set_encodings()
    print('größe→,"two\nlines"', flush=True)
    assert pipe.getvalue() == 'größe→,"two\nlines"\n'.encode()


def test_the_console_obeys_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = {-11: 3}  # stderr, -12, is a pipe

    class Kernel:
        def GetStdHandle(self, number: int) -> int:
            return number

        def GetConsoleMode(self, handle: int, mode: Any) -> int:
            mode._obj.value = modes.get(handle, 0)
            return int(handle in modes)

        def SetConsoleMode(self, handle: int, mode: int) -> None:
            modes[handle] = mode

    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=Kernel()), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    main._set_console()
    assert modes == {-11: 7}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 has one url2pathname for all systems")
@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///C:/pets/a%20b.jpg", r"C:\pets\a b.jpg"), ("file:/C:/a.jpg", r"C:\a.jpg"),
        ("file://localhost/C:/a.jpg", r"C:\a.jpg"), ("file://C:/a.jpg", r"C:\a.jpg"),
        ("file://nas/pets/a.jpg", r"\\nas\pets\a.jpg"), (r"C:\a.jpg", r"C:\a.jpg"), (r"\\nas\a.jpg", r"\\nas\a.jpg"),
        ("file:///x:y:z.jpg", None),
    ],
)  # fmt: skip
def test_file_addresses(address: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = importlib.import_module("nturl2path")
    monkeypatch.setattr(urllib.request, "url2pathname", rules.url2pathname)
    monkeypatch.setattr(os, "name", "nt")
    if path is None:
        with pytest.raises(ImageError, match=r"x:y:z\.jpg: not an address .*; pass the path"):
            local_path(address)
    else:
        assert local_path(address) == path


@pytest.mark.parametrize(
    ("pattern", "top"),
    [("D:/**/*.jpg", "D:\\"), (r"D:\pets\**", "D:\\pets\\"), ("**/*.jpg", ""), (r"\\nas\a\**\*", "\\\\nas\\a\\")],
)
def test_two_stars_begin_at_the_root_of_a_drive(pattern: str, top: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(folders, "_folders_below", lambda top, closed: begun.append(top) or [])
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os, "altsep", "/")
    folders._matches(pattern, [])
    assert begun == [top]


@pytest.mark.parametrize("entry", ["/home/me/animals/images/train", r"C:\animals\images\train", "../images/train"])
def test_a_data_yaml_of_another_machine_finds_its_parts(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "Path", PureWindowsPath)
    described = Description(cast(Any, PureWindowsPath(r"D:\pets\data.yaml")), COCO, {})
    assert PureWindowsPath(r"D:\pets\images\train") in listing._candidates(described, entry)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_as_powershell_writes_them(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("größe.mp4\r\nC:\\pets\\b.mp4\r\n\r\n".encode(encoding))
    assert expand_lists([str(path)]) == ["größe.mp4", r"C:\pets\b.mp4"]
    assert list(list_pictures([str(path)])) == [("größe.mp4".encode(), None), (rb"C:\pets\b.mp4", None)]
    path.write_bytes("a-key-of-16-byte\r\n".encode(encoding))
    assert read_keys(path) == ("a-key-of-16-byte",)


LOADER = """
import os, signal, sys
from ssd300.learn import loader
signal.SIGBREAK, sys.platform = signal.SIGUSR1, "win32"
loader._prepare_worker(0)
os.kill(os.getpid(), signal.SIGINT)
print("loads on", flush=True)
"""


def test_ctrl_c_is_for_the_trainer_not_for_its_loaders() -> None:
    """There it reaches all processes of a console: a loader that ends would cost the step."""
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", LOADER], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "loads on\n"), done.stderr
