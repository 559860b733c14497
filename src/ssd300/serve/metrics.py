"""Metrics for Prometheus, served at `/metrics`."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one server, in a separate registry."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "ssd300_requests", "Requests that were answered.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "ssd300_request_seconds", "From a request's head to its answer.", ("route",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.stages = Histogram(
            "ssd300_stage_seconds", "Of one picture: wait (in the queue), room (for its pixels), stages of detecting.",
            ("stage",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.rejections = Counter("ssd300_rejections", "Requests that were refused.", ("status",), registry=registry)
        self.abandoned = Counter("ssd300_abandoned", "Requests whose client went before the answer.", registry=registry)
        self.pictures = Counter("ssd300_pictures", "Pictures that were detected in.", ("model",), registry=registry)
        self.objects = Counter("ssd300_objects", "Objects that were found.", ("model",), registry=registry)
        self.bytes_in = Counter("ssd300_received_bytes", "Bytes of bodies that were read.", registry=registry)
        self.bytes_out = Counter("ssd300_sent_bytes", "Bytes of bodies that were sent.", registry=registry)

    def watch(self, name: str, words: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is read on request."""
        Gauge(name, words, registry=self.registry).set_function(value)
