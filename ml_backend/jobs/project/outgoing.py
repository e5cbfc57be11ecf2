"""Predictions on their way to Label Studio, gathered for few bulk imports.

Label Studio 1.23 counts all tasks of a project anew at each bulk import, about 0.5 ms a task: in a
project of 10,000 tasks an import takes 5 s, whether it brings one prediction or a thousand. So the
shards of a run leave theirs in the store, and they are sent many at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.jobs.queues.limit import allow
from ml_backend.jobs.queues.locks import LivingLock
from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.tasks.reader import Project
from ml_backend.labelstudio.writer import create_predictions, read_standing
from ml_backend.storage.tables import Tables, named, quoted

__all__ = ["Outgoing"]

_ROWS: Final = pa.schema(
    [
        # Drawn anew for each row: tells it from one that is put in its place.
        ("row", pa.int64()),
        ("task", pa.int64()),
        ("version", pa.string()),
        ("score", pa.float64()),
        ("result", pa.string()),
        # Whether it may have been sent already: its sender died, or it took the place of another.
        ("doubtful", pa.bool_()),
    ]
)
_FEWEST: Final = 1000


class Outgoing:
    """One project's predictions on their way.

    Args:
        tables: the store's tables, where they wait.
        client: a signed-in client.
        project: the project.
        lock: lets one job at a time send.
    """

    def __init__(
        self, tables: Tables, client: LabelStudio, project: Project, lock: LivingLock
    ) -> None:
        self._tables = tables
        self._client = client
        self._project = project
        self._lock = lock
        self._name = named("outgoing", _ROWS, project.id)
        #: Enough for one import.
        self.enough = max(_FEWEST, project.size // 20)

    def waiting(self, tasks: NDArray[np.int64]) -> set[int]:
        """Return which of some tasks have something on its way."""
        rows = self._tables.read(self._name, pa.schema([_ROWS.field("task")]), tasks=tasks)
        return set(rows["task"].to_pylist()) & set(tasks.tolist())

    def any_waiting(self) -> bool:
        """Whether anything is on its way."""
        return self._tables.count(self._name) > 0

    def put(
        self,
        version: str,
        predictions: Mapping[int, tuple[Result, float]],
        doubtful: Collection[int] = (),
    ) -> None:
        """Leave predictions to be sent; one that waits for the same task and version is replaced.

        Args:
            version: their model version.
            predictions: task id to result and score.
            doubtful: tasks of which another may be sent at this moment.
        """
        if predictions:
            columns = {
                "row": np.random.default_rng().integers(1 << 62, size=len(predictions)),
                "task": list(predictions),
                "version": [version] * len(predictions),
                "score": [score for _, score in predictions.values()],
                "result": [json.dumps(result) for result, _ in predictions.values()],
                "doubtful": [task in doubtful for task in predictions],
            }
            rows = pa.table(columns, schema=_ROWS)
            self._tables.merge(self._name, ["task", "version"], rows)

    def withdraw(self, version: str, tasks: Collection[int]) -> None:
        """Take back what waits for some tasks under a version."""
        if not tasks:
            return
        wanted = np.array(sorted(tasks), dtype=np.int64)
        columns = pa.schema([_ROWS.field(name) for name in ("row", "task")])
        of_version = f"version = {quoted(version)}"
        rows = self._tables.read(self._name, columns, of_version, wanted)
        rows = rows.filter(pc.is_in(rows["task"], pa.array(wanted)))
        self._tables.delete(self._name, rows["row"].to_numpy(), "row")

    def send(self, least: int = 1) -> dict[int, str]:
        """Send what waits, if it is as much as ``least``.

        Where more than one is asked for, nobody waits for another job that is sending: that one
        sends this too, or the next one does.

        Returns:
            task id to the model version of the prediction that Label Studio refused.

        Raises:
            LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
            LockNotOwnedError: when another job has sent while this one was away.
        """
        refused: dict[int, str] = {}
        if self._tables.count(self._name) < least or (least > 1 and self._lock.locked()):
            return refused
        with self._lock:
            while True:
                allow(self._project.size)
                rows = self._tables.read(self._name, _ROWS, most=self.enough)
                if len(rows) < least:
                    return refused
                for version in pc.unique(rows["version"]).to_pylist():
                    some = rows.filter(pc.equal(rows["version"], version))
                    refused.update(dict.fromkeys(self._send(version, some), version))

    def _send(self, version: str, rows: pa.Table) -> list[int]:
        # Should this process die half way, the next one looks what has arrived.
        place = rows.schema.get_field_index("doubtful")
        begun = rows.set_column(place, _ROWS.field(place), pa.array([True] * len(rows)))
        self._tables.merge(self._name, ["row"], begun, only_known=True)
        made = {
            task: (json.loads(result), score)
            for task, result, score in zip(
                *(rows[name].to_pylist() for name in ("task", "result", "score")), strict=True
            )
        }
        doubtful = rows.filter(rows["doubtful"])["task"].to_pylist()
        made = self._lacking(version, made, doubtful)
        self._lock.require()
        size = self._project.size
        refused = create_predictions(self._client, self._project.id, version, made, size)
        # By row: what was put in the place of one meanwhile is still to be sent.
        self._tables.delete(self._name, rows["row"].to_numpy(), "row")
        return refused

    def _lacking(
        self,
        version: str,
        made: Mapping[int, tuple[Result, float]],
        doubtful: Collection[int],
    ) -> dict[int, tuple[Result, float]]:
        """Leave out what has arrived, and tasks that are gone: one of them fails a whole import."""
        some = {task: made[task] for task in doubtful}
        there, stand = read_standing(self._client, self._project.id, version, some)
        arrived = stand | (some.keys() - there)
        return {task: one for task, one in made.items() if task not in arrived}
