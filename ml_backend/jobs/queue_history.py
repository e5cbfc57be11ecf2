"""How the queue grew and shrank, by the hour: what was flagged, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import redis
from numpy.typing import NDArray

from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW

__all__ = ["QueueHistory"]

_HOUR_S: Final = 3600


class QueueHistory:
    """Where the history of queues is kept.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def note(self, project: int, before: NDArray[np.str_], after: NDArray[np.str_]) -> None:
        """Count tasks whose flag has changed.

        Args:
            project: the project.
            before: str (T,), the flags that stood.
            after: str (T,), those that stand now.
        """
        came = (before != NEEDS_REVIEW) & (after == NEEDS_REVIEW)
        went = (before == NEEDS_REVIEW) & (after != NEEDS_REVIEW)
        answered = went & np.isin(after, (CORRECTED, CONFIRMED))
        counts = {
            "came": int(came.sum()),
            "went": int(went.sum()),
            "resolved": int(answered.sum()),
        }
        if not any(counts.values()):
            return
        hour = int(self._redis.time()[0]) // _HOUR_S * _HOUR_S
        with self._redis.pipeline() as pipe:
            for what, count in counts.items():
                pipe.hincrby(_key(project), f"{hour}|{what}", count)
            pipe.execute()

    def burn_down(self, project: int) -> list[dict[str, float]]:
        """Return the queue by the hour: how many tasks were open, how many resolved until then."""
        raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_key(project)))
        counts = {key.decode(): int(value) for key, value in raw.items()}
        hours = sorted({int(key.split("|")[0]) for key in counts})
        still, resolved, told = 0, 0, []
        for hour in hours:
            still += counts.get(f"{hour}|came", 0) - counts.get(f"{hour}|went", 0)
            resolved += counts.get(f"{hour}|resolved", 0)
            told.append({"time": float(hour + _HOUR_S), "open": still, "resolved": resolved})
        return told


def _key(project: int) -> str:
    return f"relook:queue-history:{project}"
