"""A batch on this machine: the missing parts, in order, through one detector."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

from ssd300.batch.folder import BatchJob, Run
from ssd300.batch.listing import Listed
from ssd300.batch.reading import sources_of
from ssd300.batch.rows import make_table
from ssd300.detections import Detections
from ssd300.detector import Detector
from ssd300.flow import Failure
from ssd300.options import DetectOptions

SHOWN = 10  # failures with their message in the report


@dataclass
class BatchTally:
    """The counts of the rows that this session wrote."""

    pictures: int = 0
    objects: int = 0
    failures: int = 0
    messages: list[str] = field(default_factory=list)
    start_seconds: float = 0.0  # until the first worker of a cluster began; 0 on this machine

    def add(self, result: Detections | Failure) -> None:
        if isinstance(result, Failure):
            self.failures += 1
            if len(self.messages) < SHOWN:
                self.messages.append(str(result.error))
        else:
            self.pictures += 1
            self.objects += len(result)


def run_local(run: Run, detector: Detector, tally: BatchTally, progress: Callable[[int], None]) -> None:
    """Process the missing parts of a run; `progress` is called with the number of pictures done after each.

    Raises ModelError for a broken model, OutputError for a part that cannot be written.
    """
    missing, done = run.missing(), 0
    pictures = (picture for part in missing for picture in run.listed(part))
    with closing(detect_listed(detector, pictures, run.job)) as results:
        for part in missing:
            rows: list[Detections | Failure] = []
            for result in islice(results, run.rows_of(part)):
                rows.append(result)
                done += 1
                progress(done)
            run.write(part, make_table(rows, run.job.request.model_sha256))
            for result in rows:
                tally.add(result)


def detect_listed(
    detector: Detector, pictures: Iterable[Listed], job: BatchJob
) -> Generator[Detections | Failure, None, None]:
    """The result of each listed picture, in order, without the pictures in memory."""
    sources = sources_of(pictures, base=job.base, column=job.request.column, ahead=job.ahead)
    options = DetectOptions(**job.request.options)
    return detector.map(lambda found: replace(found, picture=None), sources, options, on_error="yield")
