"""What of a run is done: a shard of tasks is checked off once per stage, and never done again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import redis
from numpy.typing import NDArray
from redis.client import Pipeline

from ml_backend.jobs.runs import scripts

__all__ = ["PARTS", "SHARDED", "Checkpoints"]

#: Stages of one job per shard; the others are one job.
SHARDED: Final = ("predicting", "scoring")

_OF_STAGES: Final = tuple(
    f"{kind}:{stage}" for kind in ("shards", "done", "lost") for stage in SHARDED
)
#: What is kept of a run here, each under a key of its own.
PARTS: Final = ("tasks", "chosen", *_OF_STAGES)
#: Task ids under one key.
_PIECE: Final = 1 << 16
_BYTES: Final = np.dtype(np.int64).itemsize


class Checkpoints:
    """The shards of one run.

    Args:
        connection: the service's Redis.
        run: the run.
    """

    def __init__(self, connection: redis.Redis, run: str) -> None:
        self._redis = connection
        self._run = run
        self._check_off = connection.register_script(scripts.CHECK_OFF)

    def keep_all(self, tasks: NDArray[np.int64], pipe: Pipeline) -> None:
        """Keep the ids of all tasks of the project, ascending. A run keeps them to its end."""
        pieces = range(0, len(tasks), _PIECE)
        kept = {str(start): tasks[start : start + _PIECE].tobytes() for start in pieces}
        _keep(pipe, self._key("tasks"), kept)

    def keep_chosen(self, tasks: NDArray[np.int64], pipe: Pipeline) -> None:
        """Keep the ids of the tasks that a run over some of a project is over."""
        _keep(pipe, self._key("chosen"), {"0": tasks.tobytes()})

    def chosen(self) -> NDArray[np.int64]:
        """Return the ids of the tasks that were chosen, ascending."""
        kept = cast(bytes | None, self._redis.hget(self._key("chosen"), "0"))
        return np.frombuffer(kept or b"", dtype=np.int64)

    def drop(self) -> None:
        """Forget all of the run."""
        self._redis.delete(*map(self._key, PARTS))

    def known(self) -> bool:
        """Whether the run's tasks are kept; those of a project without tasks never are."""
        return bool(self._redis.exists(self._key("tasks")))

    def forget(self, pipe: Pipeline) -> None:
        """Forget what the stages have to do, and what of it is done."""
        pipe.delete(*map(self._key, _OF_STAGES))

    def keep(self, stage: str, shards: Mapping[int, NDArray[np.int64]], pipe: Pipeline) -> None:
        """Keep what a stage has to do, shard number to task ids; forget what it did before."""
        pipe.delete(self._key("done", stage), self._key("lost", stage))
        kept = {str(number): tasks.tobytes() for number, tasks in shards.items()}
        _keep(pipe, self._key("shards", stage), kept)

    def tasks(self, stage: str, shard: int) -> NDArray[np.int64]:
        """Return the task ids of one shard, ascending."""
        kept = cast(bytes | None, self._redis.hget(self._key("shards", stage), str(shard)))
        return np.frombuffer(kept or b"", dtype=np.int64)

    def all_tasks(self) -> NDArray[np.int64]:
        """Return the ids of all tasks of the project, ascending."""
        kept = cast(list[bytes], self._redis.hvals(self._key("tasks")))
        return np.sort(np.frombuffer(b"".join(kept), dtype=np.int64))

    def waiting(self, stage: str) -> list[int]:
        """Return the shards that a stage has still to do, ascending."""
        shards = cast(list[bytes], self._redis.hkeys(self._key("shards", stage)))
        done = cast(set[bytes], self._redis.smembers(self._key("done", stage)))
        return sorted(int(number) for number in set(shards) - done)

    def count(self, stage: str) -> tuple[int, int]:
        """Return how many tasks need nothing more of a stage, and how many there are."""
        kept = cast(Mapping[bytes, bytes], self._redis.hgetall(self._key("shards", stage)))
        size = {int(number): len(tasks) // _BYTES for number, tasks in kept.items()}
        total = len(self.all_tasks())
        return total - sum(size[shard] for shard in self.waiting(stage)), total

    def check_off(self, stage: str, shard: int, tasks: int = 0, flagged: int = 0) -> bool:
        """Note that a shard is done, and add its tasks to the run's; false when it was so before.

        Args:
            stage: the stage.
            shard: the shard.
            tasks: how many tasks were done.
            flagged: how many of them need review.
        """
        keys = [self._key("done", stage), self._key()]
        return bool(self._check_off(keys=keys, args=[shard, tasks, flagged]))

    def is_done(self, stage: str, shard: int) -> bool:
        """Whether a shard is checked off."""
        return bool(self._redis.sismember(self._key("done", stage), str(shard)))

    def complete(self, stage: str) -> bool:
        """Whether a stage has nothing left to do."""
        done = self._redis.scard(self._key("done", stage))
        return done >= self._redis.hlen(self._key("shards", stage))

    def give_up(self, stage: str, shard: int) -> None:
        """Note that a shard is given up: the others go on, and a retry of the run takes it up."""
        keys = [self._key("done", stage), self._key(), self._key("lost", stage)]
        self._check_off(keys=keys, args=[shard, 0, 0])

    def any_lost(self) -> bool:
        """Whether a shard was given up."""
        return bool(self._redis.exists(*(self._key("lost", stage) for stage in SHARDED)))

    def take_up(self) -> str | None:
        """Make what was given up wait again; return the first stage that has some of it."""
        first = None
        for stage in SHARDED:
            done, lost = self._key("done", stage), self._key("lost", stage)
            if self._redis.scard(lost):
                first = first or stage
                self._redis.sdiffstore(done, [done, lost])
                self._redis.delete(lost)
        return first

    def _key(self, *parts: str) -> str:
        return ":".join(("relook:run", self._run, *parts))


def _keep(pipe: Pipeline, key: str, kept: Mapping[str, bytes]) -> None:
    pipe.delete(key)
    if kept:
        pipe.hset(key, mapping=cast(Any, kept))
