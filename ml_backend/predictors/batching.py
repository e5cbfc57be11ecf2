"""One model for many callers: what arrives while it is busy goes through it together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from ml_backend.errors import ModelError
from ml_backend.outlines import Geometry
from ml_backend.predictors.base import Input, Predictions, Predictor

__all__ = ["BatchingPredictor"]

_MOST: Final = 32


@dataclass(slots=True, eq=False)
class _Call:
    items: Sequence[Input]
    geometry: Geometry
    said: Predictions | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.said is not None or self.error is not None


class BatchingPredictor:
    """A predictor that any number of threads may call; it runs one batch at a time.

    A call that finds the model idle goes through at once. Calls that arrive while it is busy wait,
    and one of the waiting threads then runs them together, oldest first; there is no thread of its
    own and no waiting for company. When a shared batch fails, each of its calls is run alone: each
    caller gets its own answer or its own error.

    Args:
        predictor: the model.
        memory: bytes that it takes.
        most: items in one call of the model; a longer call is run in parts, and others get their
            turn between them.

    Attributes:
        predictor: as given; whoever calls it directly must see to it that nobody else does.
        memory: as given.
    """

    def __init__(self, predictor: Predictor, memory: int = 0, most: int = _MOST) -> None:
        self.version = predictor.version
        self.classes = predictor.classes
        self.joints = predictor.joints
        self.reads = predictor.reads
        self.serves = predictor.serves
        self.memory = memory
        self.predictor = predictor
        self._most = most
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()
        self._busy = False

    @property
    def in_use(self) -> bool:
        """Whether a call is running or waiting."""
        with self._changed:
            return self._busy or bool(self._waiting)

    def predict(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        """Predict images or texts; see ``Predictor``."""
        if geometry not in self.serves:
            raise ModelError(
                f"model {self.version} does not answer in {geometry}, but in "
                f"{', '.join(sorted(self.serves))}"
            )
        parts = [items[at : at + self._most] for at in range(0, len(items), self._most)]
        return Predictions.concatenate([self._share(p, geometry) for p in parts or [items]])

    def _share(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        call = _Call(items, geometry)
        try:
            with self._changed:
                self._waiting.append(call)
            while not call.done:
                self._lead_or_wait(call)
        finally:
            # Interrupted (a job's time limit, Ctrl-C): nobody waits for the answer any more.
            with self._changed:
                if call in self._waiting:
                    self._waiting.remove(call)
        if call.said is None:
            assert call.error is not None  # noqa: S101 - what done means
            raise call.error
        return call.said

    def _lead_or_wait(self, call: _Call) -> None:
        """Run the next batch, whosever it is, or wait until somebody else's has been run."""
        batch: list[_Call] = []
        lead = False
        try:
            with self._changed:
                self._changed.wait_for(lambda: call.done or not self._busy)
                if call.done:
                    return
                # Both at once: an interrupt between them would leave the model busy for ever.
                self._busy = lead = True
                batch = self._take()
            self._run(batch)
        finally:
            if lead:
                with self._changed:
                    self._busy = False
                    self._waiting[:0] = [each for each in batch if not each.done]
                    self._changed.notify_all()

    def _take(self) -> list[_Call]:
        oldest = self._waiting[0]
        batch: list[_Call] = []
        size = 0
        for call in self._waiting:
            fits = size + len(call.items) <= self._most
            if call.geometry == oldest.geometry and (fits or call is oldest):
                batch.append(call)
                size += len(call.items)
        self._waiting = [call for call in self._waiting if call not in batch]
        return batch

    def _run(self, batch: list[_Call]) -> None:
        if len(batch) > 1:
            items = [item for call in batch for item in call.items]
            try:
                said = self.predictor.predict(items, batch[0].geometry)
                parts = _split(said, [len(call.items) for call in batch])
            except Exception:  # noqa: S110 - each caller meets it again below, if it is its own
                pass
            else:
                for call, part in zip(batch, parts, strict=True):
                    call.said = part
                return
        for call in batch:
            try:
                call.said = self.predictor.predict(call.items, call.geometry)
            except Exception as error:
                call.error = error


def _split(said: Predictions, counts: Sequence[int]) -> list[Predictions]:
    if len(said) != sum(counts):
        raise ModelError(f"the model answered {len(said)} of {sum(counts)} items")
    ends = list(accumulate(counts, initial=0))
    return [said.take(np.arange(first, end)) for first, end in pairwise(ends)]
