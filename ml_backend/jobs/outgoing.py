"""Predictions on their way to Label Studio, gathered for few bulk imports.

Label Studio 1.23 counts all tasks of a project anew at each bulk import, about 0.5 ms a task: in a
project of 10,000 tasks an import takes 5 s, whether it brings one prediction or a thousand. So the
shards of a run leave theirs in the store, and they are sent many at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.jobs.locks import LivingLock
from ml_backend.labelstudio.reader import Project, read_tasks
from ml_backend.labelstudio.results import Result
from ml_backend.labelstudio.writer import create_predictions
from ml_backend.storage.tables import Tables, named

__all__ = ["Outgoing"]

_ROWS: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("version", pa.string()),
        ("score", pa.float64()),
        ("result", pa.string()),
        # Whether it may have been sent already: its sender died, or another job wrote beside it.
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

    def put(
        self,
        version: str,
        predictions: Mapping[int, tuple[Result, float]],
        doubtful: bool = False,
    ) -> None:
        """Leave predictions to be sent: task id to result and score.

        Args:
            version: their model version.
            predictions: task id to result and score.
            doubtful: whether the same may have been sent a moment ago.
        """
        if predictions:
            columns = {
                "task": list(predictions),
                "version": [version] * len(predictions),
                "score": [score for _, score in predictions.values()],
                "result": [json.dumps(result) for result, _ in predictions.values()],
                "doubtful": [doubtful] * len(predictions),
            }
            self._keep(pa.table(columns, schema=_ROWS))

    def send(self, least: int = 1) -> dict[int, str]:
        """Send what waits, if it is as much as ``least``.

        Returns:
            task id to the model version of the prediction that Label Studio refused.

        Raises:
            LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
            LockNotOwnedError: when another job has sent while this one was away.
        """
        refused: dict[int, str] = {}
        if self._tables.count(self._name) < least:
            return refused
        with self._lock:
            while True:
                rows = self._tables.read(self._name, _ROWS, most=self.enough)
                if not len(rows):
                    return refused
                for version in pc.unique(rows["version"]).to_pylist():
                    some = rows.filter(pc.equal(rows["version"], version))
                    refused.update(dict.fromkeys(self._send(version, some), version))

    def _send(self, version: str, rows: pa.Table) -> list[int]:
        # Should this process die half way, the next one looks what has arrived.
        place = rows.schema.get_field_index("doubtful")
        self._keep(rows.set_column(place, _ROWS.field(place), pa.array([True] * len(rows))))
        made = {
            task: (json.loads(result), score)
            for task, result, score in zip(
                *(rows[name].to_pylist() for name in ("task", "result", "score")), strict=True
            )
        }
        doubtful = rows.filter(rows["doubtful"])["task"].to_numpy()
        for page in read_tasks(self._client, self._project, "", np.sort(doubtful)):
            for stands in np.flatnonzero(page.standing.version == version).tolist():
                task = int(page.id[page.standing.task[stands]])
                if task in made and made[task][0] == page.standing.result[stands]:
                    del made[task]
        self._lock.require()
        size = self._project.size
        refused = create_predictions(self._client, self._project.id, version, made, size)
        self._tables.delete(self._name, rows["task"].to_numpy(), version)
        return refused

    def _keep(self, rows: pa.Table) -> None:
        self._tables.merge(self._name, ["task", "version"], rows)
