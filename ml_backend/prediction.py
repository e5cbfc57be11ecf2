"""From tasks to what models say of them: one way for the web server and the workers."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.answers import Answers, Part
from ml_backend.inputs import TaskInputs
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.model_choice import ModelChoice
from ml_backend.predictors.base import Predictions
from ml_backend.reading import FULL_PIXELS, Reader, Reading, ahead
from ml_backend.recent import RecentPredictions
from ml_backend.settings import ProjectSettings
from ml_backend.store import Store

__all__ = ["ControlPredictions", "PredictedTasks", "Prediction"]

#: Tasks that go through the models together, and those read at once.
_AT_ONCE: Final = 32
_READ_AT_ONCE: Final = 8
#: Calls of many tasks that may be under way in one process; others wait.
_LARGE_CALLS: Final = 2


@dataclass(frozen=True, slots=True)
class ControlPredictions:
    """What one model says, in the labels of one control tag.

    Attributes:
        control: the control tag.
        key: the version and form of the answers.
        stands: whether they came from Label Studio, where nobody need write them again.
        found: bool (T,), which tasks have a prediction; the columns below hold those, in order.
        predictions: ``label`` is a label index and ``probs`` float32 (N, K) is
            what the model gives each label; a row sums to less than 1 where it has other classes.
        known: bool (K,), which labels the model knows at all.
    """

    control: Control
    key: str
    stands: bool
    found: NDArray[np.bool_]
    predictions: Predictions
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PredictedTasks:
    """Predictions of T tasks.

    Attributes:
        version: the model version Label Studio is told; several models are joined by "+".
        controls: one table per control tag.
        errors: task id to what is wrong with it and the mend.
    """

    version: str
    controls: tuple[ControlPredictions, ...]
    errors: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """What the store has for one control tag of a chunk, and the rows it lacks."""

    answers: Answers
    sources: list[str]
    known: Part
    wanted: list[int]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some tasks, ready for the models."""

    start: int
    inputs: TaskInputs
    read: Reading
    lookups: list[_Lookup]


class Prediction:
    """Predicts tasks, with what is already known taken from the store.

    Args:
        choice: which model answers for which tag.
        images: where images come from.
        texts: where texts that a task names by address come from.
        store: keeps predictions.
    """

    def __init__(
        self,
        choice: ModelChoice,
        images: Reader,
        texts: Reader,
        store: Store | RecentPredictions,
    ) -> None:
        self.choice = choice
        self._images = images
        self._texts = texts
        self._store = store
        #: Calls that hold more than one chunk in memory.
        self._large = threading.BoundedSemaphore(_LARGE_CALLS)

    def predict(
        self,
        project: int,
        config: LabelingConfig,
        settings: ProjectSettings,
        inputs: TaskInputs,
    ) -> PredictedTasks:
        """Predict tasks.

        Args:
            project: id of the project.
            config: its labelling config, of tags that their models can answer for.
            settings: its settings.
            inputs: the tasks.

        Raises:
            ModelError: when a model is missing or fails.
            LabelStudioError: when Label Studio cannot be reached.
        """
        errors: dict[int, str] = {}
        every = [
            self.choice.answers(project, config, control, settings) for control in config.controls
        ]
        parts: dict[str, list[Part]] = defaultdict(list)
        with self._large if len(inputs) > _AT_ONCE else nullcontext():
            for chunk in ahead(self._chunks(project, every, inputs)):
                for one in chunk.lookups:
                    said = self._answer(project, one, chunk, errors)
                    parts[one.answers.control.name] += _moved([one.known, *said], chunk.start)
        tables = [_table(one, len(inputs), parts[one.control.name]) for one in every]
        version = "+".join(dict.fromkeys(one.version for one in every if one.version))
        return PredictedTasks(version, tuple(tables), errors)

    def stored(
        self,
        project: int,
        config: LabelingConfig,
        control: Control,
        settings: ProjectSettings,
        tasks: NDArray[np.int64],
    ) -> ControlPredictions:
        """Return what the store already holds of one control tag's predictions.

        Raises:
            ModelError: when the model is missing.
        """
        answers = self.choice.answers(project, config, control, settings)
        found, said = self._store.get_predictions(project, control.name, answers.key, tasks)
        return _table(answers, len(tasks), [(np.flatnonzero(found).tolist(), said)])

    def _chunks(
        self, project: int, every: Sequence[Answers], inputs: TaskInputs
    ) -> Iterator[_Chunk]:
        start = 0
        while start < len(inputs):
            chunk = self._chunk(project, every, inputs, start)
            yield chunk
            start += len(chunk.inputs)

    def _chunk(
        self, project: int, every: Sequence[Answers], inputs: TaskInputs, start: int
    ) -> _Chunk:
        some = inputs.part(slice(start, start + _AT_ONCE))
        read = Reading(some, self._images, self._texts)
        lookups = [self._lookup(project, answers, some) for answers in every]
        # As many as fit: how large pictures are is known once they are read.
        count = 0
        while count < len(some) and read.pixels < FULL_PIXELS:
            rows = range(count, min(count + _READ_AT_ONCE, len(some)))
            for one in lookups:
                if one.answers.needs_inputs:
                    read(one.answers.control, [row for row in one.wanted if row in rows])
            count = rows.stop
        return _Chunk(start, some.part(slice(0, count)), read, [_cut(o, count) for o in lookups])

    def _lookup(self, project: int, answers: Answers, inputs: TaskInputs) -> _Lookup:
        name, sources = answers.control.name, answers.sources(inputs)
        found, known = self._store.get_predictions(project, name, answers.key, inputs.id, sources)
        rows = np.flatnonzero(found).tolist()
        return _Lookup(answers, sources, (rows, known), np.flatnonzero(~found).tolist())

    def _answer(
        self, project: int, lookup: _Lookup, chunk: _Chunk, errors: dict[int, str]
    ) -> list[Part]:
        answers, parts = lookup.answers, []
        if not lookup.wanted:
            return []
        for rows, said in answers.answer(chunk.inputs, lookup.wanted, chunk.read, errors):
            of = [lookup.sources[row] for row in rows]
            tasks = chunk.inputs.id[rows]
            self._store.put_predictions(project, answers.control.name, answers.key, tasks, of, said)
            parts.append((rows, said))
        return parts


def _cut(lookup: _Lookup, count: int) -> _Lookup:
    """Return it of the first tasks only."""
    rows, known = lookup.known
    kept = [row for row in rows if row < count]
    return _Lookup(
        lookup.answers,
        lookup.sources[:count],
        (kept, known.take(np.arange(len(kept)))),
        [row for row in lookup.wanted if row < count],
    )


def _moved(parts: Sequence[Part], start: int) -> list[Part]:
    return [([start + row for row in rows], said) for rows, said in parts]


def _table(answers: Answers, count: int, parts: Sequence[Part]) -> ControlPredictions:
    full = [(rows, said) for rows, said in parts if rows]
    rows = np.array([row for rows, _ in full for row in rows], dtype=np.int64)
    found = np.zeros(count, dtype=np.bool_)
    found[rows] = True
    mapping = answers.label_map()
    labels = len(answers.control.labels)
    said = Predictions.concatenate([said for _, said in full]).take(np.argsort(rows))
    return ControlPredictions(
        answers.control,
        answers.key,
        not answers.version,
        found,
        said.in_labels(mapping, labels),
        np.isin(np.arange(labels), mapping),
    )
