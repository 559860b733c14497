import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssd300.batch.listing import glob_pattern, list_pictures, picture_column
from ssd300.batch.reading import sources_of
from ssd300.errors import ArgumentError, DatasetError, DownloadError
from ssd300.images import open_source

FLAT = [*(f"pictures/{n:02d}.png" for n in range(11)), "pictures/bad.jpg"]
PATHS = ["a.png", ("paths.parquet", 1), "s3://b/c.png", ("paths.parquet", 3)]


@pytest.fixture
def here(pictures, tmp_path, monkeypatch) -> Path:
    (tmp_path / "pictures").symlink_to(pictures)
    (tmp_path / "none").mkdir()
    (tmp_path / "list.txt").write_bytes("\ufeffa.png\r\n\n# old\n  http://x.org/b.png\nü.png\n#1.png\n".encode())
    (tmp_path / "#1.png").touch()
    (tmp_path / "empty.txt").write_text("")
    pq.write_table(
        pa.table({"file": ["a.png", None, "s3://b/c.png", " "], "n": [1, 2, 3, 4]}), tmp_path / "paths.parquet"
    )
    images = pa.array([{"bytes": b"1", "path": "1.png"}, {"bytes": b"2", "path": "2.png"}])
    pq.write_table(pa.table({"label": [0, 1], "image": images}), tmp_path / "images.parquet")
    (tmp_path / "tables" / "deep").mkdir(parents=True)
    for name in ("a.parquet", "_sources.parquet", "deep/b.parquet"):
        pq.write_table(pa.table({"file": [name]}), tmp_path / "tables" / name)
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "a.png").touch()
    pq.write_table(pa.table({"file": ["b.png"]}), tmp_path / "both" / "b.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*sources, **options):
    return [
        os.fsdecode(place) if row is None else (os.fsdecode(place), row)
        for place, row in list_pictures(sources, tell=lambda line: None, **options)
    ]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], []),
        (["none"], ["none"]),
        (["nosuch.png"], ["nosuch.png"]),
        (["pictures"], FLAT),
        (["pictures/1*.png", "pictures/03.png"], ["pictures/10.png", "pictures/03.png"]),
        (["pictures/**/11.png"], ["pictures/sub/deep/11.png"]),
        (["https://x.org/a.png"], ["https://x.org/a.png"]),
        (["https://x.org/a.png?pwd=b"], ["https://x.org/a.png?pwd=b"]),  # only rows are without it
        (["list.txt"], ["a.png", "http://x.org/b.png", "ü.png", "#1.png"]),
        (["empty.txt"], []),
        (["paths.parquet"], PATHS),
        (["tables"], ["a.parquet"]),
        (["both/*.parquet", "both/*.png"], ["b.png", "both/a.png"]),
        (["images.parquet"], [("images.parquet", 0), ("images.parquet", 1)]),
        (["*.parquet"], [("images.parquet", 0), ("images.parquet", 1), *PATHS]),
    ],
)
def test_sources_give_pictures_in_order(here, sources, expected) -> None:
    assert listed(*sources) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("none", ["none"]),
        ("pictures", [*FLAT, "pictures/sub/deep/11.png"]),
        ("tables", ["a.parquet", "deep/b.parquet"]),
    ],
)
def test_recursive_looks_into_sub_folders(here, source, expected) -> None:
    assert listed(source, recursive=True) == expected


@pytest.mark.parametrize(
    ("source", "expected"), [("pictures", "pictures/sub/deep/11.png"), ("tables", "deep/b.parquet")]
)
def test_a_file_address_of_a_folder_is_the_folder(here, source, expected) -> None:
    found = listed((here / source).as_uri(), recursive=True)
    assert [name.removeprefix(f"{here}/") for name in found] == listed(source, recursive=True)
    assert found[-1].endswith(expected)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("-", ArgumentError, "write the list to a .txt file"),
        ("nosuch.txt", DatasetError, "nosuch.txt: the list cannot be read"),
        ("nosuch.parquet", DatasetError, "nosuch.parquet: cannot be read as Parquet"),
        ("http://me:secret@x.org/a.txt", DatasetError, "^http://x.org/a.txt: lists and Parquet files are read from"),
        ("http://x.org/a?pwd=secret&f=.parquet", DatasetError, "download it and pass its path"),
        ("s3://key:secret@bucket/x", ArgumentError, "keys and the server's address come from the environment"),
        ("s3:///x", ArgumentError, "expected s3://BUCKET/NAME"),
        ("s3://buck*/x", ArgumentError, "^s3://: expected s3://BUCKET/NAME"),
        ("s3://bucket/a//b", ArgumentError, "no name with two slashes"),
        ("s3://bucket/\udcff/", ArgumentError, "names in a store are text in UTF-8"),
        ("both", ArgumentError, "both: 1 pictures and 1 .parquet files in one folder"),
    ],
)
def test_sources_that_cannot_be_listed(here, source, error, words) -> None:
    with pytest.raises(error, match=words) as caught:
        listed(source)
    assert "secret" not in str(caught.value)


def test_a_row_names_an_address_without_its_password() -> None:
    [source] = sources_of([(b"http://me:secret@127.0.0.1:9/a.jpg", None)], base="", column=None, ahead=True)
    with pytest.raises(DownloadError, match="with a user name") as caught:
        open_source(source)
    assert (source.name, "secret" in str(caught.value)) == ("http://127.0.0.1:9/a.jpg", False)


COLUMNS = {"n": pa.int64(), "s": pa.string(), "b": pa.large_binary(), "hf": pa.struct([("bytes", pa.binary())])}
COLUMNS |= {"sv": pa.string_view(), "bv": pa.binary_view()}


def test_a_column_needs_a_parquet_file(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="no Parquet file among the sources"):
        list(list_pictures([str(tmp_path)], column="path", tell=lambda line: None))


@pytest.mark.parametrize(
    ("names", "column", "expected"),
    [
        (["s"], None, ("s", True)),
        (["n", "b"], None, ("b", False)),
        (["n", "sv"], None, ("sv", True)),
        (["n", "bv"], None, ("bv", False)),
        (["n", "hf"], None, ("hf", False)),
        (["s", "b"], "s", ("s", True)),
        (["s", "b"], "b", ("b", False)),
    ],
)
def test_the_column_of_pictures(names, column, expected) -> None:
    assert picture_column(pa.schema([(name, COLUMNS[name]) for name in names]), column, "x.parquet") == expected


@pytest.mark.parametrize(
    ("names", "column", "words"),
    [
        ([], None, "0 columns could hold the pictures"),
        (["n"], None, "0 columns could hold the pictures; it has n .int64.; name one with --column"),
        (["s", "b"], None, "2 columns could hold"),
        (["s", "n"], "n", "no column 'n' with paths or pictures"),
    ],
)
def test_columns_that_cannot_be_meant(names, column, words) -> None:
    with pytest.raises(ArgumentError, match=words):
        picture_column(pa.schema([(name, COLUMNS[name]) for name in names]), column, "x.parquet")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("s3://b/*.png", ["s3://b/.png", "s3://b/a.b.png"], ["s3://b/a/b.png", "s3://b/a.jpg"]),
        ("s3://b/**/*.png", ["s3://b/a.png", "s3://b/c/d/a.png"], ["s3://a.png"]),
        ("s3://b/[ab]?[!0].png", ["s3://b/axx.png"], ["s3://b/ax0.png", "s3://b/cxx.png"]),
        ("s3://b/a+(b).png*", ["s3://b/a+(b).png"], ["s3://b/aab.png"]),
        ("s3://b/[z-a][[a--]x[].png", [], ["s3://b/z[x[].png"]),
        ("s3://b/[[]x[].png", ["s3://b/[x[].png"], ["s3://b/x.png"]),
        ("s3://b/a[!b]c.png", ["s3://b/adc.png"], ["s3://b/abc.png", "s3://b/a/c.png"]),
    ],
)
def test_globs_of_addresses(pattern, yes, no) -> None:
    assert [bool(glob_pattern(pattern).fullmatch(name)) for name in yes + no] == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize(
    ("source", "deep", "expected"),
    [
        ("s3://b", False, ["a.png"]),
        ("s3://b/*", False, ["a.png"]),
        ("s3://b/*.dat", False, ["a.dat"]),
        ("s3://b/**", True, ["a.png", "c/a.png", "runs/detect/c.png"]),
        ("s3://b/*/a*", True, ["c/a.png"]),
        ("s3://b/*/*/*/*.png", True, ["runs/detect/1/b.png"]),
        ("s3://b/.h*.png", False, [".h.png"]),
    ],
)
def test_a_store_gives_what_a_folder_would_and_is_asked_for_no_more(monkeypatch, source, deep, expected) -> None:
    names = [".h.png", "@eaDir/a.png", "a.dat", "a.png", "c/.t/a.png", "c/a.png", "notes.md"]
    names += ["runs/detect/1/b.png", "runs/detect/c.png"]
    asked, told = [], []

    def list_remote(address: str, *, recursive: bool) -> list[str]:
        asked.append((address, recursive))
        return [f"s3://b/{name}" for name in names if recursive or "/" not in name]

    monkeypatch.setattr("ssd300.batch.listing.list_remote", list_remote)
    found = [place.decode() for place, _ in list_pictures([source], tell=told.append)]
    assert found == [f"s3://b/{name}" for name in expected]
    assert asked == [("s3://b/", deep)]
    assert told == ([f"{source}: 1 file skipped: 1 .DAT"] if source in ("s3://b", "s3://b/*", "s3://b/**") else [])


@pytest.mark.parametrize("name", ["txt", "photos.txt"])
def test_a_folder_named_txt_is_a_folder(here, name) -> None:
    (here / name).mkdir()
    (here / name / "a.png").touch()
    assert listed(name) == [f"{name}/a.png"]


@pytest.mark.posix
@pytest.mark.parametrize("name", ["list.txt", "table.parquet"])
@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_lists_and_tables_that_are_no_files(tmp_path, name, kind) -> None:
    path = tmp_path / name
    os.mkfifo(path) if kind == "FIFO" else path.symlink_to("/dev/zero")
    with pytest.raises(DatasetError, match="it is not a regular file; check the path"):
        list(list_pictures([str(path)]))
