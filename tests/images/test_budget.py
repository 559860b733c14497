"""Pixels in flight are bounded whatever the number of threads, in the order of asking, and nothing waits for ever."""

import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ssd300 import limits
from ssd300.images import decode, load_for_network, resize
from ssd300.images.budget import IN_FLIGHT, PixelBudget
from ssd300.images.quiet import quiet_pillow


@pytest.mark.posix
def test_the_limit_follows_the_cpus_that_may_be_used_not_those_of_the_machine():
    code = (
        "import os; os.cpu_count, os.sched_getaffinity = lambda: 64, lambda _: {0, 1}\n"
        "from ssd300.images.budget import IN_FLIGHT; print(IN_FLIGHT.limit)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{limits.PIXELS}\n", done.stderr


def test_nothing_is_taken_outside_of_a_share():
    budget = PixelBudget(10)
    budget.take(100)
    assert budget.taken == 0


def test_what_is_taken_is_given_back_also_after_an_error():
    budget = PixelBudget(10)

    def fail() -> None:
        with budget.share():
            budget.take(7)
            assert budget.taken == 7
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert budget.taken == 0


def test_a_share_within_a_share_is_the_same():
    budget = PixelBudget(10)
    with budget.share():
        with budget.share():
            budget.take(8)
        assert budget.taken == 8
        budget.take(8)  # a thread that holds some never waits for more
        assert budget.taken == 16
    assert budget.taken == 0


def test_a_picture_beyond_the_limit_goes_alone():
    budget = PixelBudget(10)
    with budget.share():
        budget.take(1000)
        assert budget.taken == 1000


@pytest.mark.timeout(60)
def test_threads_stay_within_the_limit_and_all_come_through():
    budget, highest, sizes = PixelBudget(100), [0], [40, 3, 90, 100, 250, 1, 60] * 20

    def work(pixels: int) -> int:
        with budget.share():
            budget.take(pixels)
            highest[0] = max(highest[0], budget.taken if budget.taken != 250 else 0)
            time.sleep(0.0005)
            return pixels

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(work, sizes)) == sizes
    assert 40 < highest[0] <= 100
    assert budget.taken == 0


@pytest.mark.timeout(30)
def test_a_large_picture_is_not_overtaken_for_ever():
    budget, order = PixelBudget(100), []

    def work(pixels: int) -> None:
        with budget.share():
            budget.take(pixels)
            order.append(pixels)

    with budget.share():
        budget.take(50)
        threads = []
        for pixels in (90, 1, 2):
            threads.append(threading.Thread(target=work, args=[pixels]))
            threads[-1].start()
            while len(budget._waiting) < len(threads):
                time.sleep(0.001)
        assert order == []
    for thread in threads:
        thread.join()
    assert order[0] == 90


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_pictures_that_are_loaded_take_their_pixels(kind, photo, encode, monkeypatch):
    budget, seen = PixelBudget(1), []
    monkeypatch.setattr(decode, "IN_FLIGHT", budget)
    monkeypatch.setattr(resize, "IN_FLIGHT", budget)
    whole = resize.resize_to_network
    monkeypatch.setattr(resize, "resize_to_network", lambda rgb: [seen.append(budget.taken), whole(rgb)][1])
    load_for_network(encode(photo, kind))
    assert seen == [60 * 90]
    assert budget.taken == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_waits_for_no_thread_of_its_parent():
    """They do not exist there. A picture larger than what is left of the limit would wait for ever."""
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with IN_FLIGHT.share(), quiet_pillow():
            IN_FLIGHT.take(1)
            holds.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    with IN_FLIGHT.share():
        IN_FLIGHT.take(2)
        child = os.fork()
        if child == 0:
            heard = not logging.getLogger("PIL.TiffImagePlugin").disabled
            os._exit(0 if IN_FLIGHT.taken == 2 and heard else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert IN_FLIGHT.taken == 0
