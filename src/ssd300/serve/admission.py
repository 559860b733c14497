"""Scheduling: a bounded queue in front of a fixed number of threads."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from ssd300.serve.problem import busy

_Result = TypeVar("_Result")


class Stopped(Exception):
    """The client of this answer has gone, or its deadline has passed."""


@dataclass(eq=False)
class Job(Generic[_Result]):
    """Work for one picture. `call(job)` runs in a thread; it may call `job.check()` between two stages."""

    call: Callable[["Job[_Result]"], _Result]
    answer: asyncio.Future[_Result]
    arrived: float = field(default_factory=time.perf_counter)
    alone: bool = True  # whether no other job was running when it began
    waited: float = 0.0  # seconds in the queue
    seconds: dict[str, float] = field(default_factory=dict)  # of each stage

    def check(self) -> None:
        """Raise Stopped when the client has gone or the deadline has passed."""
        if self.answer.done():
            raise Stopped


class Admission:
    """Jobs are begun in the order of their arrival, `threads` at a time. All methods belong to the event loop's thread.

    `queue` jobs may wait; `submit_all` refuses more with 429. Canceling the future of a job takes it out of the
    queue, or stops it at its next `check`.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self.threads, self.queue = threads, queue
        self.running = 0
        self.mean_seconds = 0.05  # of a job, a running mean
        self._waiting: deque[Job[object]] = deque()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ssd300-serve")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit_all(self, calls: list[Callable[[Job[_Result]], _Result]]) -> list[Job[_Result]]:
        """Submit a job for each call; raise 429 if not all fit into the queue. An idle server takes any one request."""
        self._waiting = deque(job for job in self._waiting if not job.answer.done())
        free = self.queue - self.waiting + self.threads - self.running
        if len(calls) > free and (self.waiting or self.running):
            seconds = self.mean_seconds * (self.waiting + self.running) / self.threads
            found = f"{self.waiting} pictures are waiting already, {len(calls)} more do not fit (--queue)"
            raise busy(429, f"{found}; send it again later, or fewer at a time", seconds)
        loop = asyncio.get_running_loop()
        jobs = [Job(call, loop.create_future()) for call in calls]
        self._waiting.extend(jobs)
        self._begin()
        return jobs

    def _begin(self) -> None:
        while self._waiting and self.running < self.threads:
            job = self._waiting.popleft()
            if job.answer.done():
                continue
            job.alone = self.running == 0 and not self._waiting
            job.waited = time.perf_counter() - job.arrived
            future = self._pool.submit(job.call, job)  # raises RuntimeError where the system gives no more threads
            self.running += 1
            future.add_done_callback(partial(_report, job.answer.get_loop(), partial(self._finish_job, job)))

    def _finish_job(self, job: Job[object], future: Future[object]) -> None:
        self.running -= 1
        self.mean_seconds += 0.05 * (time.perf_counter() - job.arrived - job.waited - self.mean_seconds)
        if not job.answer.done():
            error = future.exception()
            if error is None:
                job.answer.set_result(future.result())
            else:
                job.answer.set_exception(error)
        self._begin()

    def close(self) -> None:
        """Start no more jobs. Running ones are not stopped."""
        self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _report(loop: asyncio.AbstractEventLoop, done: Callable[[Future[object]], None], future: Future[object]) -> None:
    """Report from a worker thread to the event loop."""
    if not future.cancelled():
        with suppress(RuntimeError):  # the loop is closed because the server has stopped
            loop.call_soon_threadsafe(done, future)
