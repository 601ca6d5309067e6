"""Counts and times of the requests, under the names of tensorflow_model_server's Prometheus metrics."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving.errors import ServingError

CONTENT_TYPE = "text/plain"  # tensorflow_serving/model_servers/http_server.cc

# Microseconds: 33 buckets that start at 10 and grow by 1.8 (tensorflow_serving/servables/tensorflow/util.cc).
_BUCKETS = tuple(10 * 1.8**i for i in range(33))


class Metrics:
    """The metrics of one server. `known` tells the configured names: only those get a series."""

    def __init__(self, known: Callable[[], tuple[str, ...]]) -> None:
        self._known = known
        self._registry = CollectorRegistry()
        self._requests = _RequestCount()
        self._registry.register(self._requests)
        ProcessCollector(registry=self._registry)
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving requests.",
            ["model_name", "API", "entrypoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._times = functools.cache(lambda name, entrypoint: self._latency.labels(name, "predict", entrypoint))

    @contextmanager
    def observe(self, model_name: str, entrypoint: str) -> Iterator[None]:
        """Count and time one predict request; entrypoint is GRPC or REST."""
        started = time.perf_counter()
        status = "OK"
        try:
            yield
        except ServingError as error:
            status = error.code.name
            raise
        finally:
            if model_name in self._known():
                self._requests.add(model_name, status)
                self._times(model_name, entrypoint).observe((time.perf_counter() - started) * 1e6)

    def page(self) -> bytes:
        """All metrics in Prometheus' text form."""
        return generate_latest(self._registry)


class _RequestCount(Collector):
    """request_count by model and status.

    A plain Counter would append `_total` to the name; dashboards made for TensorFlow Serving know it without.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, model_name: str, status: str) -> None:
        with self._lock:
            self._counts[model_name, status] += 1

    def collect(self) -> Iterator[Metric]:
        metric = Metric(":tensorflow:serving:request_count", "The total number of requests.", "unknown")
        with self._lock:
            for (model_name, status), count in self._counts.items():
                labels = {"model_name": model_name, "status": status}
                metric.add_sample(metric.name, labels, count)
        yield metric
