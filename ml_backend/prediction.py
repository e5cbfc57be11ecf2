"""From tasks to what models say of them: one way for the web server and the workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.answers import Answers, Part
from ml_backend.errors import MediaError
from ml_backend.inputs import TaskInputs
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.labelstudio.texts import check_texts
from ml_backend.model_choice import ModelChoice
from ml_backend.predictors.base import Input, Predictions
from ml_backend.recent import RecentPredictions
from ml_backend.settings import ProjectSettings
from ml_backend.store import Store

__all__ = ["ControlPredictions", "PredictedTasks", "Prediction"]

#: Images in memory at once.
_AT_ONCE = 32


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

    def unknowing(self) -> ControlPredictions:
        """Return it as of a model that knows no label."""
        return replace(self, known=np.zeros_like(self.known))


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


class _Reader(Protocol):
    def read(self, tasks: Sequence[int], addresses: Sequence[str]) -> Sequence[Input | MediaError]:
        """Read one image or text per task."""
        ...


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
        images: _Reader,
        texts: _Reader,
        store: Store | RecentPredictions,
    ) -> None:
        self.choice = choice
        self._images = images
        self._texts = texts
        self._store = store

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
        for start in range(0, len(inputs), _AT_ONCE):
            some = inputs.part(slice(start, start + _AT_ONCE))
            read = _Reading(some, self._images, self._texts)
            for answers in every:
                for rows, said in self._some(project, answers, some, read, errors):
                    parts[answers.control.name].append(([start + row for row in rows], said))
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

    def read(
        self, control: Control, inputs: TaskInputs, rows: Sequence[int]
    ) -> list[Input | MediaError]:
        """Read what a control tag labels in some tasks; what cannot be read is its error.

        Raises:
            LabelStudioError: when Label Studio cannot be reached.
        """
        return _Reading(inputs, self._images, self._texts)(control, rows)

    def _some(
        self,
        project: int,
        answers: Answers,
        inputs: TaskInputs,
        read: _Reading,
        errors: dict[int, str],
    ) -> list[Part]:
        name, sources = answers.control.name, answers.sources(inputs)
        found, known = self._store.get_predictions(project, name, answers.key, inputs.id, sources)
        parts = [(np.flatnonzero(found).tolist(), known)]
        wanted = np.flatnonzero(~found).tolist()
        if not wanted:
            return parts
        for rows, said in answers.answer(inputs, wanted, read, errors):
            of = [sources[row] for row in rows]
            self._store.put_predictions(project, name, answers.key, inputs.id[rows], of, said)
            parts.append((rows, said))
        return parts


class _Reading:
    """Reads what control tags label, each image or text of a task once for all of them."""

    def __init__(self, inputs: TaskInputs, images: _Reader, texts: _Reader) -> None:
        self._inputs = inputs
        self._images = images
        self._texts = texts
        self._read: dict[tuple[str, int], Input | MediaError] = {}

    def __call__(self, control: Control, rows: Sequence[int]) -> list[Input | MediaError]:
        key = control.data_key
        new = [row for row in rows if (key, row) not in self._read]
        values = self._inputs.values(key)
        tasks, found = [int(self._inputs.id[row]) for row in new], [values[row] for row in new]
        items: Sequence[Input | MediaError]
        if control.reads == "image":
            items = self._images.read(tasks, found)
        elif control.by_url:
            items = self._texts.read(tasks, found)
        else:
            items = check_texts(tasks, [self._inputs.body[row]["data"].get(key) for row in new])
        self._read.update({(key, row): item for row, item in zip(new, items, strict=True)})
        return [self._read[key, row] for row in rows]


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
