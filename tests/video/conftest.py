"""Clips to read, and streams to watch."""

import av
import pytest

from video.clips import write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 30))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """clip.mp4, clip.ts and an HLS playlist of the same 50 frames."""
    folder = tmp_path_factory.mktemp("streams")
    options = {"g": "10", "bf": "0"}
    write_clip(folder / "clip.mp4", 50, options=options)
    write_clip(folder / "clip.ts", 50, options=options)
    with av.open(str(folder / "clip.mp4")) as source, av.open(
        str(folder / "live.m3u8"), "w", format="hls", options={"hls_time": "0.4", "hls_list_size": "0"}
    ) as output:  # fmt: skip
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return folder
