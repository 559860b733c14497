"""The sources of `ssd300 detect` and `ssd300 track`: list files, and telling videos from pictures."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from ssd300.cli.messages import print_message
from ssd300.data.reading import read_text
from ssd300.errors import ArgumentError
from ssd300.files import looked_from
from ssd300.images.addresses import is_url
from ssd300.images.folders import has_picture_extension, pictures_of
from ssd300.images.http_stream import sends_video
from ssd300.images.video_names import is_camera, is_video, shown_name

_LIST_EXTENSION = ".txt"


def select_videos(sources: Sequence[str]) -> list[str]:
    """The sources if they are videos; empty if they are pictures. Raises ArgumentError where both are given."""
    named = {source for source in sources if is_video(source)}
    untold = [source for source in sources if may_be_video_address(source)]
    if untold and sends_video(untold[0]):  # one request: pictures may be many
        named.update(untold)
    moving = [source for source in sources if source in named]
    if moving and len(moving) < len(sources):
        still = next(source for source in sources if source not in named)
        labels = " (several labels are joined: --labels 16,17)" if is_camera(moving[0]) else ""
        raise ArgumentError(
            f"videos and pictures in one call: {shown_name(moving[0])} and {shown_name(still)}; "
            f"give them to two calls{labels}"
        )
    return moving


def may_be_video_address(source: str) -> bool:
    """Whether it is an http(s) address whose name does not tell a picture from a video, such as http://camera/stream.

    >>> [may_be_video_address(f"http://a.example/{name}") for name in ("stream", "a.jpg?size=2", "a.mp4")]
    [True, False, False]
    """
    return is_url(source) and not is_video(source) and not has_picture_extension(source.split("?")[0].split("#")[0])


def expand_lists(sources: Sequence[str]) -> list[str]:
    """The sources, with list files and globs of videos expanded.

    Raises ArgumentError for a list without sources, DatasetError for one that cannot be read.
    """
    return [one for source in sources for line in _read_list(source) for one in _match(line)]


def _match(source: str) -> list[str]:
    """The matches of a glob of videos, as of pictures; any other source unchanged."""
    if not is_video(source) or "://" in source or os.path.exists(source):
        return [source]
    found = pictures_of(source)
    if found.skipped:  # folders that may not be read
        print_message(f"{source}: {found.skipped}")
    return list(found.paths) or [source]


def _read_list(source: str) -> list[str]:
    """The lines of a text file that lists sources; any other source unchanged."""
    if not source.lower().endswith(_LIST_EXTENSION) or not os.path.isfile(source):
        return [source]
    lines = read_text(Path(source), "list of sources").split("\n")  # names may hold other line breaks
    named = (line.strip() for line in lines)
    found = [name for name in named if name and (name[0] != "#" or os.path.lexists(name))]  # else it is a comment
    if not found:
        raise ArgumentError(f"{source}: the list names no source; write one per line")
    if not any(map(_may_exist, found)):
        raise ArgumentError(
            f"{source}: a .txt is a list of sources, one per line, and no line of this one names a file: the first is "
            f"{found[0][:80]!r}{looked_from(found[0])}; correct the paths, or leave the file out"
        )
    return found


def _may_exist(source: str) -> bool:
    addressed = ":" in source.partition("/")[0] or is_camera(source)  # http:, data:, C:
    return addressed or source == "-" or glob.has_magic(source) or os.path.lexists(source)
