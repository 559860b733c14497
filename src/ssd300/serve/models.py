"""The models of a server, each set up twice: for one picture at a time and for many in parallel."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssd300.detections import Detections
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, ImageError, unknown_name
from ssd300.flow import detect_one
from ssd300.images.budget import PixelBudget
from ssd300.images.decode import header
from ssd300.images.source import Source
from ssd300.options import DetectOptions
from ssd300.runtime.base import Runtime
from ssd300.serve.admission import Job
from ssd300.serve.answers import PICTURE_MEDIA, draw_answer
from ssd300.serve.problem import Problem

Answered = tuple[Detections, bytes | None]  # with the drawn picture, if requested


@dataclass(frozen=True)
class Served:
    """One model. `alone` uses all threads for one picture, `many` one thread for each of several."""

    name: str
    alone: Runtime
    many: Runtime

    def options(self, given: Mapping[str, Any]) -> DetectOptions:
        """The options of a request, checked. Raises Problem 422."""
        try:
            options = DetectOptions(**{"clip": True, **given})  # as on the command line
            options.rows(self.alone.metadata.classes)
        except ArgumentError as error:
            raise Problem(422, str(error)) from error
        return options

    def facts(self) -> dict[str, Any]:
        """Its entry in `/v1/models`."""
        metadata = self.alone.metadata
        return {
            "name": self.name,
            "backbone": metadata.backbone,
            "precision": self.alone.precision,
            "runtime": self.alone.name,
            "licence": metadata.licence,
            "classes": [
                {"class_id": class_id, "name": name}
                for class_id, name in zip(metadata.classes.ids, metadata.classes.names, strict=True)
            ],
        }


class Models:
    """The models by name; the first is the default of requests without a name."""

    def __init__(self, served: list[Served]) -> None:
        self.by_name: Mapping[str, Served] = {one.name: one for one in served}
        self.first = served[0]

    @classmethod
    def load(cls, given: Mapping[str, str], *, precision: str = "auto", threads: int | None = None) -> "Models":
        """`given`: name -> model for `Detector.load`."""
        served = []
        for name, model in given.items():
            runtime = Detector.load(model, precision=precision, threads=threads).runtime
            served.append(Served(name, runtime, runtime.for_throughput()))
        return cls(served)

    def get(self, name: str | None) -> Served:
        if name is None:
            return self.first
        if name not in self.by_name:
            raise Problem(404, str(unknown_name("model", name[:80], self.by_name)))
        return self.by_name[name]


@dataclass(frozen=True)
class Work:
    """The work of the jobs of one request, in worker threads."""

    served: Served
    options: DetectOptions
    media: str  # of the answer
    budget: PixelBudget
    max_pixels: int

    def __call__(self, source: Source, job: Job[Any]) -> Answered:
        """Detect in one picture. Raises Problem 413 or 422, and Stopped."""
        with self.budget.share():
            last = time.perf_counter()

            def note(stage: str) -> None:
                nonlocal last
                now = time.perf_counter()
                job.seconds[stage], last = now - last, now

            def between(stage: str) -> None:
                note(stage)
                job.check()

            self.budget.take(self._count_pixels(source))
            between("room")
            runtime = self.served.alone if job.alone else self.served.many
            try:
                found = detect_one(runtime, source, self.options, between)
            except ImageError as error:
                raise Problem(422, str(error)) from error
            drawn = draw_answer(found, self.media) if self.media in PICTURE_MEDIA else None
            note("finish")
            return found, drawn

    def _count_pixels(self, source: Source) -> int:
        """The number of pixels, from the picture's header."""
        try:
            height, width = (
                header(source.value, name=source.name).size_hw
                if isinstance(source.value, bytes)
                else source.value.shape[:2]
            )
        except ImageError as error:
            raise Problem(422, str(error)) from error
        if height * width > self.max_pixels:
            raise Problem(
                413,
                f"{source.name}: {width}x{height} is {width * height:,} pixels, more than the "
                f"limit of {self.max_pixels:,} (--max-pixels); send a smaller picture",
            )
        return int(height * width)
