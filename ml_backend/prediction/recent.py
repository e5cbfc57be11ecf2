"""What the web server has just predicted: kept in memory, written to the store a moment later."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.predictors.base import Predictions
from ml_backend.storage.store import Store

__all__ = ["RecentPredictions"]

_log = logging.getLogger(__name__)

#: Time for company: a write costs as much for one task as for hundreds.
_DELAY_S: Final = 0.5
_KEPT_TASKS: Final = 4096
_KEPT_NUMBERS: Final = 1 << 24

_Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Lot:
    key: _Key
    tasks: NDArray[np.int64]
    sources: Sequence[str]
    said: Predictions

    @property
    def numbers(self) -> int:
        return len(self.said.outline.values) + self.said.probs.size + 3 * len(self.said.item)


class RecentPredictions:
    """Predictions as ``Store`` has them, for a process that must answer at once.

    Label Studio asks for what it does not have, so the disk is hardly ever worth asking first: what
    is looked up here is what this process predicted lately. That answers a request that is sent
    again because the first one took too long. One thread writes to the store, many lots together;
    what is lost when the process ends within half a second is predicted again by the next run.

    Args:
        store: where predictions are written to.
        delay: seconds to wait for more to write.
    """

    def __init__(self, store: Store, delay: float = _DELAY_S) -> None:
        self._store = store
        self._delay = delay
        self._lock = threading.Lock()
        #: Oldest first, bounded in tasks and numbers.
        self._lots: OrderedDict[int, _Lot] = OrderedDict()
        self._places: dict[tuple[_Key, int], tuple[int, int]] = {}
        self._number = self._tasks = self._numbers = 0
        self._unwritten: list[_Lot] = []
        self._writer: threading.Thread | None = None
        self._hurry = threading.Event()

    def get_predictions(
        self,
        project: int,
        control: str,
        version: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str] | None = None,
    ) -> tuple[NDArray[np.bool_], Predictions]:
        """Look up what was predicted lately; see ``Store.get_predictions``."""
        key = (project, control, version)
        found = np.zeros(len(tasks), dtype=np.bool_)
        rows_of: dict[int, tuple[_Lot, list[int], list[int]]] = {}
        with self._lock:
            for row, task in enumerate(tasks.tolist()):
                number, place = self._places.get((key, task), (-1, 0))
                if number < 0:
                    continue
                lot = self._lots[number]
                if sources is None or lot.sources[place] == sources[row]:
                    found[row] = True
                    _, rows, places = rows_of.setdefault(number, (lot, [], []))
                    rows.append(row)
                    places.append(place)
        parts = [lot.said.take(np.array(places)) for lot, _, places in rows_of.values()]
        order = [row for _, rows, _ in rows_of.values() for row in rows]
        return found, Predictions.concatenate(parts).take(np.argsort(order))

    def put_predictions(
        self,
        project: int,
        control: str,
        version: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str],
        predictions: Predictions,
    ) -> None:
        """Keep predictions, now in memory and soon on disk; see ``Store.put_predictions``."""
        lot = _Lot((project, control, version), tasks, sources, predictions)
        with self._lock:
            self._number += 1
            self._lots[self._number] = lot
            self._tasks += len(tasks)
            self._numbers += lot.numbers
            for place, task in enumerate(tasks.tolist()):
                self._places[lot.key, task] = (self._number, place)
            while len(self._lots) > 1 and self._full():
                self._forget_oldest()
            self._unwritten.append(lot)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_later, daemon=True)
                self._writer.start()

    def flush(self) -> None:
        """Return when all that was put before is on disk."""
        self._hurry.set()
        while (writer := self._writer) is not None:
            writer.join()
        self._hurry.clear()

    def _full(self) -> bool:
        return self._tasks > _KEPT_TASKS or self._numbers > _KEPT_NUMBERS

    def _forget_oldest(self) -> None:
        number, lot = self._lots.popitem(last=False)
        self._tasks -= len(lot.tasks)
        self._numbers -= lot.numbers
        for task in lot.tasks.tolist():
            if self._places.get((lot.key, task), (0, 0))[0] == number:
                del self._places[lot.key, task]

    def _write_later(self) -> None:
        while True:
            self._hurry.wait(self._delay)
            with self._lock:
                lots, self._unwritten = self._unwritten, []
                if not lots:
                    self._writer = None
                    return
            together: dict[_Key, list[_Lot]] = defaultdict(list)
            for lot in lots:
                together[lot.key].append(lot)
            for key, some in together.items():
                self._write(key, some)

    def _write(self, key: _Key, lots: Sequence[_Lot]) -> None:
        tasks = np.concatenate([lot.tasks for lot in lots])
        sources = [source for lot in lots for source in lot.sources]
        # Of a task that came twice the last word counts.
        last = np.sort(len(tasks) - 1 - np.unique(tasks[::-1], return_index=True)[1])
        said = Predictions.concatenate([lot.said for lot in lots]).take(last)
        try:
            self._store.put_predictions(*key, tasks[last], [sources[n] for n in last], said)
        except Exception:
            # They are computed again where they are needed; the requests were answered long since.
            _log.exception("predictions of %d tasks were not written", len(last))
