"""`POST /v1/detect`: from a request to the detections of its pictures."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ssd300.images.budget import PixelBudget
from ssd300.images.source import Source
from ssd300.options import DetectOptions
from ssd300.serve.admission import Admission, Job
from ssd300.serve.answers import PICTURE_MEDIA, HeldResponse, choose_media, text_answer
from ssd300.serve.body import Body, Held, read_body
from ssd300.serve.metrics import Metrics
from ssd300.serve.models import Answered, Models, Served, Work
from ssd300.serve.problem import Problem, answering_within
from ssd300.serve.request import read_options, read_pictures, refuse_type
from ssd300.serve.settings import Settings


class Detecting:
    """The detection part of a server, and the order of the steps of a request."""

    def __init__(self, models: Models, settings: Settings, metrics: Metrics) -> None:
        self.models, self.settings, self.metrics = models, settings, metrics
        threads = 2 * models.first.alone.threads  # as `detect_many`: half of them decode
        self.admission = Admission(threads, settings.queue)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="ssd300-serve-read")  # of forms
        self.held = Held(settings.held_bytes)
        self.budget = PixelBudget(settings.max_pixels)
        metrics.watch("ssd300_queue_pictures", "Pictures that wait.", lambda: self.admission.waiting)
        metrics.watch("ssd300_running_pictures", "Pictures at work.", lambda: self.admission.running)
        metrics.watch("ssd300_held_bytes", "Bytes of bodies and of answers in memory.", lambda: self.held.size)

    async def detect(self, request: Request) -> Response:
        """Answer a request. Everything that depends only on the head is checked before the body is read."""
        media = choose_media(",".join(request.headers.getlist("accept")))
        served = self.models.get(request.query_params.get("model"))
        given = read_options(request.query_params, served.alone.metadata.classes.names)
        options = served.options(given | {"keep_pixels": media in PICTURE_MEDIA})
        refuse_type(request)
        body = Body(self.held)
        try:
            await read_body(request, body, self.settings)
            pictures, many = await read_pictures(request, body, self.settings, self._readers)
            if media in PICTURE_MEDIA and len(pictures) > 1:
                raise Problem(406, f"{media} is for one picture, got {len(pictures)}: send one, or accept JSON")
            answers = await self.answer_all(request, served, pictures, options, media)
            drawn = answers[0][1]
            data = text_answer([found for found, _ in answers], media, many=many) if drawn is None else drawn
            return HeldResponse(data, media, body)
        except BaseException:
            body.release()
            raise

    def close(self) -> None:
        """Start no more work. What runs is not stopped."""
        self.admission.close()
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def answer_all(
        self, request: Request, served: Served, pictures: list[Source], options: DetectOptions, media: str = ""
    ) -> list[Answered]:
        """The detections of each picture, in order; with a picture's media type also the drawn picture."""
        work = Work(served, options, media, self.budget, self.settings.max_pixels)
        request.state.exchange.pictures = len(pictures)
        jobs = self.admission.submit_all([partial(work, source) for source in pictures])
        try:
            async with answering_within(self.settings.timeout):
                answers = await _unless_gone(request.receive, asyncio.gather(*(job.answer for job in jobs)))
        finally:
            for job in jobs:
                job.answer.cancel()
        self._count(served, jobs, answers)
        return answers

    def _count(self, served: Served, jobs: list[Job[Answered]], answers: list[Answered]) -> None:
        for job in jobs:
            self.metrics.stages.labels("wait").observe(job.waited)
            for stage, seconds in job.seconds.items():
                self.metrics.stages.labels(stage).observe(seconds)
        self.metrics.pictures.labels(served.name).inc(len(jobs))
        self.metrics.objects.labels(served.name).inc(sum(len(found) for found, _ in answers))


async def _unless_gone(
    receive: Callable[[], Awaitable[Any]], answers: "asyncio.Future[list[Answered]]"
) -> list[Answered]:
    """The answers, or ClientDisconnect as soon as the client disconnects."""
    gone = asyncio.ensure_future(receive())  # after the complete body, only a disconnect can arrive
    answers.add_done_callback(lambda done: done.cancelled() or done.exception())  # unread, asyncio would print it
    try:
        await asyncio.wait((gone, answers), return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            raise ClientDisconnect
        return answers.result()
    finally:
        gone.cancel()
        answers.cancel()
