import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from narrow import load_narrow
from ssd300 import Failure, ImageError, ModelError, pipeline
from ssd300.images.budget import PixelBudget
from ssd300.pipeline import in_order


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ssd300")]


def slow_square(number):
    time.sleep(0.002 * (7 - number % 8))  # later items are done first
    return number * number


@pytest.mark.parametrize("count", [0, 1, 3, 50])
@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order(count, threads):
    assert list(in_order(slow_square, range(count), threads)) == [n * n for n in range(count)]
    assert not workers()


def test_few_items_are_taken_ahead_of_a_slow_consumer():
    taken = []
    results = in_order(slow_square, (taken.append(n) or n for n in range(1000)), 2)
    for consumed in range(1, 20):
        next(results)
        time.sleep(0.01)
        assert len(taken) <= consumed + 2 * 2
    results.close()


def test_nothing_is_taken_before_the_first_result_is_asked_for():
    taken = []
    in_order(slow_square, (taken.append(n) or n for n in range(10)), 2).close()
    assert taken == []


def test_an_error_is_raised_in_its_turn():
    results = in_order(lambda n: 1 // (n - 3), range(10), 4)
    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not workers()


def test_an_error_of_the_items_is_raised():
    def items():
        yield 1
        raise OSError("camera gone")

    with pytest.raises(OSError, match="camera gone"):
        list(in_order(slow_square, items(), 2))
    assert not workers()


@pytest.mark.parametrize("how", ["close", "interrupt", "forget"])
def test_stopping_early_leaves_no_thread(how, monkeypatch):
    monkeypatch.setattr(pipeline, "_STOP_SECONDS", 60)
    begun, started = [], time.monotonic()
    results = in_order(lambda n: begun.append(n) or slow_square(n), range(1000), 4)
    next(results)
    if how == "close":
        results.close()
    elif how == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)
    else:
        del results
    assert time.monotonic() - started < 30  # canceled calls are not waited for
    assert not workers()
    assert len(begun) < 20


@pytest.mark.timeout(60)
@pytest.mark.parametrize("where", ["its own thread", "a thread that holds pixels"])
def test_it_may_be_closed_where_waiting_would_never_end(monkeypatch, where):
    """The garbage collector closes a dropped generator in whichever thread it runs."""
    monkeypatch.setattr(pipeline, "IN_FLIGHT", held := PixelBudget(1))
    go, closed = threading.Event(), []

    def call(number):
        if number and go.wait():
            if where == "its own thread" and number == 1:
                closed.append(results.close())
            with held.share():
                held.take(1)

    results = in_order(call, range(10), 2)
    next(results)
    with held.share():
        held.take(1)
        go.set()
        if where == "a thread that holds pixels":
            closed.append(results.close())
        else:
            wait_for(lambda: closed)
    assert closed == [None]
    wait_for(lambda: not workers())


@pytest.mark.parametrize("taken", [0, 1])
def test_a_thread_goes_on_when_the_main_thread_has_ended(taken):
    program = f"""
import threading, time
from ssd300.pipeline import in_order

def work():
    results = in_order(lambda n: n * n, range(50), 2)
    first = [next(results) for _ in range({taken})]
    threading.main_thread().join()
    time.sleep(0.2)  # for the pools of the process to close
    print([*first, *results] == [n * n for n in range(50)])

threading.Thread(target=work).start()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("where", ["a result is waited for", "the consumer works"])
def test_ctrl_c_does_not_wait_for_what_hangs(monkeypatch, where):
    monkeypatch.setattr(pipeline, "_STOP_SECONDS", 0.1)
    answer = threading.Event()
    results = in_order(lambda n: n == 0 or answer.wait(60), range(10), 2)
    next(results)

    def interrupt(error):
        raise error

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), closing(results):
        (interrupt if where == "the consumer works" else results.throw)(KeyboardInterrupt)
    assert time.monotonic() - started < 5
    answer.set()
    for thread in workers():
        thread.join(5)
    assert not workers()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.timeout(60)
def test_a_forked_child_gets_an_error_for_the_next_result():
    """The threads that would give it stay behind."""
    results = in_order(slow_square, range(10), 2)
    first, (read, write) = next(results), os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # if it should hang after all
        try:
            next(results)
        except ModelError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        assert b"was loaded before the process was forked" in answer.read()
    os.waitpid(child, 0)
    assert [first, *results] == [n * n for n in range(10)]


@pytest.fixture(scope="module")
def detector(narrow_checkpoint):
    return load_narrow(narrow_checkpoint, precision="f32")


def pictures(count):
    draw = np.random.default_rng(1)
    return [draw.integers(0, 256, (5, 4 + i % 3, 3), np.uint8).repeat(40, 0).repeat(40, 1) for i in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 pictures of several sizes, of which the third is damaged."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures")
    for i, picture in enumerate(pictures(24)):
        Image.fromarray(picture).save(path / f"{i:02}.png")
    (path / "02.png").write_bytes((path / "02.png").read_bytes()[:100])
    return path


@pytest.mark.parametrize("sources", [[], iter(())])
def test_no_pictures(sources, detector):
    assert list(detector.detect_many(sources)) == []


def test_many_give_what_one_by_one_gives(detector):
    """More than the short list, so both set-ups of the runtime take part."""
    many = pictures(24)
    found = list(detector.detect_many(many))
    assert found == [detector.detect(picture) for picture in many]
    assert sum(map(len, found)) > 24


def test_a_bad_picture_stops_nothing(detector, folder):
    found = list(detector.detect_many(folder, on_error="yield"))
    assert [i for i, one in enumerate(found) if isinstance(one, Failure)] == [2]
    assert found[2].source == str(folder / "02.png")
    assert isinstance(found[2].error, ImageError)
    assert [one.source for one in found] == [str(folder / f"{i:02}.png") for i in range(24)]


def test_a_bad_picture_raises_in_its_turn(detector, folder):
    results = detector.detect_many(f"{folder}/*.png")
    next(results), next(results)
    with pytest.raises(ImageError, match=r"02\.png"):
        next(results)
    assert not workers()


def test_a_directory_without_pictures_is_one_failure(detector, tmp_path):
    [failure] = detector.detect_many([tmp_path], on_error="yield")
    assert "no pictures here: an empty directory" in str(failure.error)


def test_wrong_settings_are_told_at_the_call_not_at_the_first_picture(detector):
    with pytest.raises(ValueError, match=r"unknown on_error 'skip'"):
        detector.detect_many([], on_error="skip")
    with pytest.raises(ValueError, match="score_threshold must be"):
        detector.detect_many([], score_threshold=2)
