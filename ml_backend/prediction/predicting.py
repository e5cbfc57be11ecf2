"""From tasks to what models say of them: one way for the web server and the workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import MediaError
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.prediction.answers import Answers, Ask, Part, ask, joined
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.model_choice import ModelChoice
from ml_backend.prediction.reading import FULL_PIXELS, Images, Reading, Room, Texts, ahead
from ml_backend.prediction.recent import RecentPredictions
from ml_backend.predictors.base import Input, Predictions
from ml_backend.settings import ProjectSettings
from ml_backend.storage.store import Store

__all__ = ["ControlPredictions", "PredictedTasks", "Prediction"]

#: Tasks that are read and go through the models together: the models begin with few.
_FIRST: Final = 8
_AT_ONCE: Final = 32


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
        images: Images,
        texts: Texts,
        store: Store | RecentPredictions,
    ) -> None:
        self.choice = choice
        self._images = images
        self._texts = texts
        self._store = store
        #: For what one call works on and what it reads ahead, or two calls.
        self._room = Room(2 * FULL_PIXELS)

    def predict(
        self,
        project: int,
        config: LabelingConfig,
        settings: ProjectSettings,
        inputs: TaskInputs,
        asking: Ask = ask,
    ) -> PredictedTasks:
        """Predict tasks.

        Args:
            project: id of the project.
            config: its labelling config, of tags that their models can answer for.
            settings: its settings.
            inputs: the tasks.
            asking: what asks the models of what is not known yet.

        Raises:
            ModelError: when a model is missing or fails.
            LabelStudioError: when Label Studio cannot be reached.
        """
        every = [
            self.choice.answers(project, config, control, settings) for control in config.controls
        ]
        return self.ask(project, every, inputs, asking)

    def ask(
        self, project: int, every: Sequence[Answers], inputs: TaskInputs, asking: Ask = ask
    ) -> PredictedTasks:
        """Predict tasks, with who answers for each control tag found before; see ``predict``."""
        errors: dict[int, str] = {}
        parts: dict[str, list[Part]] = defaultdict(list)
        with closing(self._ahead(project, every, inputs)) as chunks:
            for chunk in chunks:
                with closing(chunk.read):
                    for one in chunk.lookups:
                        said = self._answer(project, one, chunk, errors, asking)
                        parts[one.answers.control.name] += _moved([one.known, *said], chunk.start)
        tables = [_table(one, len(inputs), parts[one.control.name]) for one in every]
        version = joined(one.version for one in every)
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

    def read(
        self, control: Control, inputs: TaskInputs, rows: Sequence[int]
    ) -> list[Input | MediaError]:
        """Read what a control tag labels in a few tasks; what cannot be read is its error.

        Raises:
            LabelStudioError: when Label Studio cannot be reached.
        """
        return Reading(inputs, self._images, self._texts, self._room).read(control, rows)

    def _ahead(
        self, project: int, every: Sequence[Answers], inputs: TaskInputs
    ) -> Generator[_Chunk]:
        chunks = self._chunks(project, every, inputs)
        # A lone task needs no thread.
        return chunks if len(inputs) == 1 else ahead(chunks, lambda chunk: chunk.read.close())

    def _chunks(
        self, project: int, every: Sequence[Answers], inputs: TaskInputs
    ) -> Generator[_Chunk]:
        start, most = 0, _FIRST
        while start < len(inputs):
            some = inputs.part(slice(start, start + most))
            chunk = self._chunk(project, every, some, start)
            start += len(chunk.inputs)
            # Where few pictures fit, few more are fetched.
            most = min(_AT_ONCE, 2 * len(chunk.inputs))
            yield chunk

    def _chunk(
        self, project: int, every: Sequence[Answers], some: TaskInputs, start: int
    ) -> _Chunk:
        read = Reading(some, self._images, self._texts, self._room)
        lookups = [self._lookup(project, answers, some) for answers in every]
        for one in lookups:
            if one.answers.needs_inputs:
                read.fetch(one.answers.control, one.wanted)
        count = read.decode()
        return _Chunk(start, some.part(slice(0, count)), read, [_cut(o, count) for o in lookups])

    def _lookup(self, project: int, answers: Answers, inputs: TaskInputs) -> _Lookup:
        name, sources = answers.control.name, answers.sources(inputs)
        found, known = self._store.get_predictions(project, name, answers.key, inputs.id, sources)
        rows = np.flatnonzero(found).tolist()
        return _Lookup(answers, sources, (rows, known), np.flatnonzero(~found).tolist())

    def _answer(
        self,
        project: int,
        lookup: _Lookup,
        chunk: _Chunk,
        errors: dict[int, str],
        asking: Ask,
    ) -> list[Part]:
        answers, parts = lookup.answers, []
        if not lookup.wanted:
            return []
        for rows, said in answers.answer(chunk.inputs, lookup.wanted, chunk.read, errors, asking):
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
