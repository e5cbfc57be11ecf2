"""The jobs of relabel batches, and how to give and follow one.

What a person must mend is the job's answer rather than its failure: a failed job is tried again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, Final

from rq.job import Job, JobStatus

from ml_backend.errors import (
    BatchError,
    LabelStudioError,
    ProjectGoneError,
    RelookError,
    TokenRefusedError,
)
from ml_backend.jobs.batch_orders import Order
from ml_backend.jobs.batches import Batches
from ml_backend.jobs.events import let_others
from ml_backend.jobs.limit import retry
from ml_backend.jobs.queue import Mailbox, living_workers
from ml_backend.jobs.shards import services

__all__ = [
    "bring_back",
    "cancel_batch",
    "enqueue",
    "list_batches",
    "new_order",
    "send_batch",
    "wait_for",
]

_log = logging.getLogger(__name__)

Answer = dict[str, Any]

#: A batch of many thousands is written one annotation at a time.
_TIMEOUT_S: Final = 6 * 3600
_LOOK_S: Final = 0.2
_NOBODY: Final = "no worker runs that could do this: start `relook start` or `relook worker`"
_ENDED: Final = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)


def new_order(**wanted: Any) -> Order:
    """Return an order with a name of its own."""
    return Order(secrets.token_hex(3), **wanted)


def enqueue(mailbox: Mailbox, job: Callable[..., Answer], *arguments: Any) -> Job:
    """Give one of this module's jobs to the workers: somebody waits, so before a run's shards."""
    return mailbox.events.enqueue(
        f"{__name__}.{job.__name__}", args=arguments, retry=retry(), job_timeout=_TIMEOUT_S
    )


def wait_for(
    job: Job, say: Callable[[str], None] = _log.info, patience_s: tuple[float, float] = (5.0, 60.0)
) -> Answer:
    """Wait for a job and return its answer.

    Args:
        job: the job.
        say: told once when no worker runs that could take it.
        patience_s: after how long without any worker that is said, and the job is withdrawn.

    Raises:
        BatchError: with what a person must mend, or what went wrong at last.
    """
    attended, said = time.monotonic(), False
    while job.get_status(refresh=True) not in _ENDED:
        if living_workers(job.connection):
            attended = time.monotonic()
        alone = time.monotonic() - attended
        if alone > patience_s[1]:
            job.cancel()
            raise BatchError(f"{_NOBODY}; nothing was done")
        if alone > patience_s[0] and not said:
            say(f"{_NOBODY}; waiting for one")
            said = True
        time.sleep(_LOOK_S)
    answer = job.return_value(refresh=True)
    if not isinstance(answer, dict):
        raise BatchError(f"the job {job.id} failed: the worker's log says why")
    if "error" in answer:
        raise BatchError(str(answer["error"]))
    return answer


def _told(job: Callable[..., Answer]) -> Callable[..., Answer]:
    @wraps(job)
    def telling(*arguments: Any) -> Answer:
        try:
            return job(*arguments)
        except RelookError as error:
            lasting = isinstance(error, ProjectGoneError | TokenRefusedError)
            if isinstance(error, LabelStudioError) and not lasting:
                raise
            return {"error": str(error)}

    return telling


@_told
def send_batch(project: int, order: dict[str, Any]) -> Answer:
    """Send a batch: what ``Dispatch`` says."""
    return asdict(Batches(services(), project, let_others).send(Order(**order)))


@_told
def bring_back(project: int) -> Answer:
    """Look at every answer of a project's batches: ``{"written"}``."""
    return {"written": Batches(services(), project, let_others).bring_back()}


@_told
def list_batches(project: int) -> Answer:
    """Tell how a project's batches stand: ``{"batches"}``."""
    found = Batches(services(), project, let_others).progress()
    return {"batches": [asdict(one) for one in found]}


@_told
def cancel_batch(project: int, batch: str) -> Answer:
    """Withdraw what of a batch is unanswered: ``{"written", "withdrawn"}``."""
    written, withdrawn = Batches(services(), project, let_others).cancel(batch)
    return {"written": written, "withdrawn": withdrawn}
