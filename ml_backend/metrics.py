"""What operators watch, in Prometheus' text form.

Jobs are done by many processes on many machines, none of which is asked by Prometheus: they count
in Redis, and every web server tells the same counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, cast

import redis
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ml_backend.jobs.queues.mailbox import Mailbox

__all__ = ["JobTimes", "Metrics"]

_KEY: Final = "relook:metrics"
#: Upper bounds of a job's duration, seconds.
_BUCKETS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, float("inf"))


class JobTimes:
    """How long jobs took and how they ended, counted by all workers together.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def note(self, job: str, done: bool, seconds: float) -> None:
        """Count one job: its function's name, whether it was done or failed, its duration."""
        name = f"{_short(job)}|{'done' if done else 'failed'}"
        bound = next(bound for bound in _BUCKETS if seconds <= bound)
        with self._redis.pipeline() as pipe:
            pipe.hincrby(_KEY, f"le|{name}|{bound}", 1)
            pipe.hincrbyfloat(_KEY, f"sum|{name}|", seconds)
            pipe.execute()

    def note_abandoned(self, job: str) -> None:
        """Count one job whose worker died."""
        self._redis.hincrby(_KEY, f"abandoned|{_short(job)}||", 1)

    def families(self) -> Iterator[Metric]:
        """Return the counts.

        Raises:
            redis.RedisError: when Redis cannot be reached.
        """
        counts: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
        sums: dict[tuple[str, str], float] = {}
        abandoned = CounterMetricFamily(
            "relook_jobs_abandoned", "Jobs whose worker died.", labels=["job"]
        )
        raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_KEY))
        for key, value in raw.items():
            what, job, outcome, bound = key.decode().split("|")
            if what == "le":
                counts[job, outcome][float(bound)] = float(value)
            elif what == "sum":
                sums[job, outcome] = float(value)
            else:
                abandoned.add_metric([job], float(value))
        times = HistogramMetricFamily(
            "relook_job_seconds", "Time that jobs took.", labels=["job", "outcome"]
        )
        for name, found in sorted(counts.items()):
            times.add_metric(list(name), _cumulated(found), sums.get(name, 0.0))
        yield times
        yield abandoned


class _InRedis(Collector):
    """Queue depths and job times, read when Prometheus asks."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._times = JobTimes(mailbox.redis)

    def collect(self) -> Iterator[Metric]:
        try:
            # All or nothing: no sample says more than a wrong one while Redis is away.
            yield from [*self._depths(), *self._times.families()]
        except redis.RedisError:
            return

    def _depths(self) -> list[Metric]:
        waiting = GaugeMetricFamily("relook_jobs_waiting", "Jobs in the queue.", labels=["queue"])
        running = GaugeMetricFamily("relook_jobs_running", "Jobs at work.", labels=["queue"])
        later = GaugeMetricFamily(
            "relook_jobs_put_off", "Jobs to be tried again later.", labels=["queue"]
        )
        failed = GaugeMetricFamily("relook_jobs_failed", "Jobs given up.", labels=["queue"])
        for queue in (self._mailbox.events, self._mailbox.runs):
            name = [queue.name]
            waiting.add_metric(name, queue.count)
            running.add_metric(name, queue.started_job_registry.get_job_count(cleanup=False))
            later.add_metric(name, queue.scheduled_job_registry.get_job_count(cleanup=False))
            failed.add_metric(name, queue.failed_job_registry.get_job_count(cleanup=False))
        return [waiting, running, later, failed]


class Metrics:
    """The web server's metrics; each application has its own.

    Args:
        mailbox: whose queues are measured.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_InRedis(mailbox))
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
        self.late_events = Counter(
            "relook_late_events",
            "Events that were kept in memory because Redis did not take them at once.",
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return all of them in Prometheus' text form."""
        return generate_latest(self._registry)


def _short(job: str) -> str:
    return job.rsplit(".", 1)[-1]


def _cumulated(counts: Mapping[float, float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for bound in _BUCKETS:
        total += counts.get(bound, 0.0)
        buckets.append((str(bound).replace("inf", "+Inf"), total))
    return buckets
