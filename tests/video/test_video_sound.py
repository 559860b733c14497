"""Sound and the shape of pixels, which go along into drawn videos, and files that were trimmed and not encoded anew."""

from fractions import Fraction

import av
import pytest

from ssd300.errors import OutputError
from ssd300.images.video import frames
from ssd300.images.video_write import VideoWriter
from video.clips import number_of, picture, write_clip


@pytest.mark.parametrize(("ending", "sound"), [("avi", "pcm_s16le"), ("mkv", "flac"), ("ts", "aac")])
def test_sound_of_other_containers_comes_along(tmp_path, ending, sound) -> None:
    """AVI does not say which channels its sound has, and mp4 must."""
    path = write_clip(tmp_path / f"clip.{ending}", 10, codec="mpeg4", sound=sound)
    (tmp_path / "a:b").mkdir()  # no protocol of FFmpeg's
    writer = VideoWriter(tmp_path / "a:b" / "out.mp4", source=path)
    for frame in frames(path):
        writer.add(frame.rgb, frame.time_s)
    writer.close()
    with av.open(f"file:{writer.path}") as written:
        assert [stream.codec_context.name for stream in written.streams.audio] == [sound]
        assert written.streams.video[0].codec_context.colorspace == 5  # BT.601, in which the frames were converted
        assert sum(packet.size for packet in written.demux(audio=0)) > 1000


@pytest.mark.parametrize(("complete", "seconds"), [(True, 10.0), (False, 5.0)])
def test_sound_goes_on_while_the_last_frame_is_shown_unless_interrupted(tmp_path, complete, seconds) -> None:
    """A talk with a slide every five seconds."""
    path = write_clip(tmp_path / "talk.mp4", 2, times=[0, 5], rate=1, sound="aac", seconds=10)
    writer = VideoWriter(tmp_path / "out.mp4", source=path)
    for frame in frames(path):
        writer.add(frame.rgb, frame.time_s)
    writer.close(complete=complete)
    with av.open(str(writer.path)) as written:
        assert written.duration / 1e6 == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    ("rotation", "shown"), [(0, Fraction(16, 11)), (90, Fraction(11, 16)), (180, Fraction(16, 11))]
)
def test_pixels_that_are_not_square_stay_so(tmp_path, rotation, shown) -> None:
    path = write_clip(tmp_path / "dvd.mp4", 3, rotation=rotation, pixel_aspect=Fraction(16, 11), sound="aac")
    writer = VideoWriter(tmp_path / "out.mp4", source=path, sound=False)
    for frame in frames(path):
        writer.add(frame.rgb, frame.time_s)
    writer.close()
    with av.open(str(writer.path)) as written:
        assert written.streams.video[0].sample_aspect_ratio == shown
        assert not written.streams.audio


def test_a_trimmed_file_shows_its_part_and_is_not_cut_off(tmp_path) -> None:
    """Phones trim by a list that hides the frames before; the file still holds and counts them."""
    with (
        av.open(str(write_clip(tmp_path / "whole.mp4", 30))) as source,
        av.open(str(tmp_path / "t.mp4"), "w", options={"avoid_negative_ts": "disabled"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = (ticks - round(0.4 / packet.time_base) for ticks in (packet.pts, packet.dts))
                packet.stream = stream
                output.mux(packet)
    lines: list[str] = []
    assert [number_of(one.rgb) for one in frames(tmp_path / "t.mp4", tell=lines.append)] == list(range(10, 30))
    assert lines == [] or not hasattr(av.stream.Stream, "index_entries")


@pytest.mark.parametrize("gap", [600, 4000, 60_000, 1_000_000])  # 17 hours and 11 days; mp4 holds 6.6 hours in one
def test_a_frame_may_be_shown_for_days(tmp_path, gap) -> None:
    """Recordings whose clock was set, or that went on the next day, have such gaps."""
    writer = VideoWriter(tmp_path / "out.mp4")
    for number, time_s in enumerate((0, 1, 1 + gap, 2 + gap)):
        writer.add(picture(number), time_s)
    writer.close()
    shown = {frame.time_s: number_of(frame.rgb) for frame in frames(tmp_path / "out.mp4")}
    between = {time_s: number for time_s, number in shown.items() if 1 < time_s < 1 + gap}
    assert (shown[0], shown[1], shown[1 + gap], shown[2 + gap]) == (0, 1, 2, 3)
    assert (len(shown), set(between.values()) - {1}) == (4 + len(between), set())
    assert len(between) <= 2000


@pytest.mark.parametrize("step", [400, 3600])
def test_times_are_right_where_each_frame_is_shown_for_long(tmp_path, step) -> None:
    """FFmpeg before 8 drops all times of display in a file if one is 2^28 ticks after that of its decoding."""
    writer = VideoWriter(tmp_path / "out.mp4")
    for number in range(12):
        writer.add(picture(number), number * step)
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as opened:
        ahead = [packet.pts - packet.dts for packet in opened.demux(video=0) if packet.size]
    assert max(ahead) < 2**28
    shown = {frame.time_s: number_of(frame.rgb) for frame in frames(tmp_path / "out.mp4")}
    assert [shown[number * step] for number in range(12)] == list(range(12))


def test_times_that_jump_by_years_are_named(tmp_path) -> None:
    """A camera without a battery begins in 1970, until its clock is set."""
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.add(picture(0), 0)
    with pytest.raises(OutputError, match=r"out\.mp4: its times jump by 20,370 days, too far for mp4; pass --no-save"):
        writer.add(picture(1), 20_370.5 * 86_400)
    writer.discard()


def test_sound_keeps_its_times_after_a_gap_of_days(tmp_path) -> None:
    """31 bits hold 37 hours of its 16,000 ticks a second, and 12 of the usual 48,000."""
    clip, jumps = write_clip(tmp_path / "clip.mkv", 50, codec="mpeg4", sound="flac"), tmp_path / "jumps.mkv"
    with av.open(str(clip)) as source, av.open(str(jumps), "w") as output:
        streams = [output.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                gap = 300_000 if packet.dts * packet.time_base >= 1 else 0
                packet.pts = packet.dts = packet.dts + round(gap / packet.time_base)
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    writer = VideoWriter(tmp_path / "out.mp4", source=jumps)
    for frame in frames(jumps):
        writer.add(frame.rgb, frame.time_s)
    writer.close()
    times = []
    for path in (jumps, writer.path):
        with av.open(str(path)) as opened:
            times.append([round(float(one.pts * one.time_base), 3) for one in opened.demux(audio=0) if one.size])
    assert max(times[0]) > 300_001
    assert set(times[0]) <= set(times[1])
