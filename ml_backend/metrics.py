"""What operators watch, in Prometheus' text form."""

from __future__ import annotations

from collections.abc import Iterator

import redis
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from rq import Queue

from ml_backend.jobs.queue import Mailbox

__all__ = ["Metrics"]


class _QueueDepths(Collector):
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily("relook_jobs_waiting", "Jobs in the queue.", labels=["queue"])
        failed = GaugeMetricFamily("relook_jobs_failed", "Jobs given up.", labels=["queue"])
        for queue in (self._mailbox.events, self._mailbox.runs):
            self._count(queue, waiting, failed)
        yield waiting
        yield failed

    def _count(self, queue: Queue, waiting: GaugeMetricFamily, failed: GaugeMetricFamily) -> None:
        try:
            waiting.add_metric([queue.name], queue.count)
            failed.add_metric([queue.name], queue.failed_job_registry.count)
        except redis.RedisError:
            # No sample says more than a wrong one while Redis is away.
            return


class Metrics:
    """The web server's metrics; each application has its own.

    Args:
        mailbox: whose queues are measured.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_QueueDepths(mailbox))
        self.predict_seconds = Histogram(
            "relook_predict_seconds", "Time to answer /predict.", registry=self._registry
        )
        self.predicted_tasks = Counter(
            "relook_predicted_tasks", "Tasks answered by /predict.", registry=self._registry
        )
        self.unreadable_tasks = Counter(
            "relook_unreadable_tasks",
            "Tasks whose image could not be read.",
            registry=self._registry,
        )
        self.events = Counter(
            "relook_events", "Events from Label Studio.", ["action"], registry=self._registry
        )

    def text(self) -> bytes:
        """Return all of them in Prometheus' text form."""
        return generate_latest(self._registry)
