"""How the queue grew and shrank, by the hour: what was flagged, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import redis
from numpy.typing import NDArray

from ml_backend.review.decide import NEEDS_REVIEW, VERDICTS

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
        answered = went & np.isin(after, VERDICTS)
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

    def burn_down(self, project: int, still_open: int) -> list[dict[str, float]]:
        """Return the queue by the hour: how many tasks were open, how many resolved until then.

        Only changes are kept, and those that came before a Redis was new are not: it is counted
        back from how many are open now.

        Args:
            project: the project.
            still_open: how many tasks are open now.
        """
        raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_key(project)))
        counts = {key.decode(): int(value) for key, value in raw.items()}
        hours = sorted({int(key.split("|")[0]) for key in counts})
        came, went, answered = (
            np.array([counts.get(f"{hour}|{what}", 0) for hour in hours], dtype=np.int64)
            for what in ("came", "went", "resolved")
        )
        grown = (came - went).cumsum()
        by_hour = (still_open + grown - grown[-1:]).clip(min=0)
        return [
            {"time": float(hour + _HOUR_S), "open": still, "resolved": resolved}
            for hour, still, resolved in zip(
                hours, by_hour.tolist(), answered.cumsum().tolist(), strict=True
            )
        ]


def _key(project: int) -> str:
    return f"relook:queue-history:{project}"
