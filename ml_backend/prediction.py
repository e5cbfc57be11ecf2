"""From tasks to model predictions and pre-labels: one way for the web server and the workers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import MediaError, ModelError
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.labelstudio.media import MediaReader
from ml_backend.labelstudio.results import Result, encode_boxes, encode_choice
from ml_backend.predictors.base import Predictions, Predictor
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ProjectSettings
from ml_backend.store import Store

__all__ = [
    "ControlPredictions",
    "PredictedTasks",
    "Prediction",
    "model_name",
    "model_version",
    "prelabels",
]

_log = logging.getLogger(__name__)

#: Images in memory at once.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ControlPredictions:
    """What one model says, in the classes of one control tag.

    Attributes:
        control: the control tag.
        version: the version of the model that said it.
        found: bool (T,), which tasks have a prediction; the columns below hold those, in order.
        predictions: ``label`` is a label index and ``probs`` float32 (N, K) is
            what the model gives each label; a row sums to less than 1 where it has other classes.
        known: bool (K,), which labels the model knows at all.
    """

    control: Control
    version: str
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


def model_name(control: Control, settings: ProjectSettings, default: str) -> str:
    """Return the model that a control tag uses: its own, the project's, or the service's."""
    return control.model_path or settings.model or default


def model_version(
    models: ModelRegistry, config: LabelingConfig, settings: ProjectSettings, default: str
) -> str:
    """Return the version that a project's predictions carry, without loading a model.

    Raises:
        ModelError: when a model is not there.
    """
    names = [model_name(control, settings, default) for control in config.controls]
    versions = [models.version(name) for name in names]
    return "+".join(dict.fromkeys(versions))


class Prediction:
    """Predicts tasks, with what is already known taken from the store.

    Args:
        models: the models of this process.
        media: where images come from.
        store: keeps predictions.
        default_model: used where neither project nor tag names one.
    """

    def __init__(
        self, models: ModelRegistry, media: MediaReader, store: Store, default_model: str
    ) -> None:
        self.models = models
        self._media = media
        self._store = store
        self._default = default_model

    def predict(
        self,
        project: int,
        config: LabelingConfig,
        settings: ProjectSettings,
        tasks: NDArray[np.int64],
        media: dict[str, list[str]],
    ) -> PredictedTasks:
        """Predict tasks.

        Args:
            project: id of the project.
            config: its labelling config.
            settings: its settings.
            tasks: int64 (T,), task ids.
            media: data key to the address in each task.

        Raises:
            ModelError: when a model is missing or fails.
            LabelStudioError: when Label Studio cannot be reached.
        """
        errors: dict[int, str] = {}
        for start in range(0, len(tasks), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            some = {key: sources[part] for key, sources in media.items()}
            self._predict_some(project, config, settings, tasks[part], some, errors)
        tables = [
            self._table(
                project,
                control,
                model_name(control, settings, self._default),
                tasks,
                media[control.data_key],
            )
            for control in config.controls
        ]
        version = model_version(self.models, config, settings, self._default)
        return PredictedTasks(version, tuple(tables), errors)

    def _predict_some(
        self,
        project: int,
        config: LabelingConfig,
        settings: ProjectSettings,
        tasks: NDArray[np.int64],
        media: dict[str, list[str]],
        errors: dict[int, str],
    ) -> None:
        images: dict[tuple[str, int], NDArray[np.uint8] | MediaError] = {}
        for control in config.controls:
            name = model_name(control, settings, self._default)
            sources = media[control.data_key]
            version = self.models.version(name)
            found, _ = self._store.get_predictions(project, control.name, version, tasks, sources)
            wanted = np.flatnonzero(~found)
            self._fetch(control.data_key, wanted, tasks, sources, images)
            ready = []
            for row in wanted.tolist():
                image = images[control.data_key, row]
                if isinstance(image, MediaError):
                    errors[int(tasks[row])] = str(image)
                else:
                    ready.append((row, image))
            self._compute(project, control, name, tasks, sources, ready, errors)

    def stored(
        self,
        project: int,
        control: Control,
        settings: ProjectSettings,
        tasks: NDArray[np.int64],
    ) -> ControlPredictions:
        """Return what the store already holds of one control tag's predictions.

        Raises:
            ModelError: when the model is missing.
        """
        name = model_name(control, settings, self._default)
        return self._table(project, control, name, tasks, None)

    def _fetch(
        self,
        key: str,
        rows: NDArray[np.int64],
        tasks: NDArray[np.int64],
        sources: Sequence[str],
        images: dict[tuple[str, int], NDArray[np.uint8] | MediaError],
    ) -> None:
        new = [row for row in rows.tolist() if (key, row) not in images]
        read = self._media.read([int(tasks[row]) for row in new], [sources[row] for row in new])
        images.update({(key, row): image for row, image in zip(new, read, strict=True)})

    def _compute(
        self,
        project: int,
        control: Control,
        name: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str],
        ready: Sequence[tuple[int, NDArray[np.uint8]]],
        errors: dict[int, str],
    ) -> None:
        if not ready:
            return
        model = self.models.get(name)
        if model.serves != control.tag:
            raise ModelError(
                f"model {name!r} predicts {model.serves}, but {control.name!r} is a "
                f"{control.tag}: name another model in its model_path, or set "
                'model_skip="true" on it'
            )
        for said in control.unmapped(model.classes):
            _log.info("project %s: %s maps no label to class %s", project, control.name, said)
        try:
            parts = [(list(ready), model.predict([image for _, image in ready]))]
        except ModelError:
            # One image that a model cannot take must not stop the others.
            parts = [
                ([one], alone) for one in ready if (alone := _alone(model, one, tasks, errors))
            ]
        for part, predictions in parts:
            rows = [row for row, _ in part]
            self._store.put_predictions(
                project,
                control.name,
                model.version,
                tasks[rows],
                [sources[row] for row in rows],
                predictions,
            )

    def _table(
        self,
        project: int,
        control: Control,
        name: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str] | None,
    ) -> ControlPredictions:
        model = self.models.get(name)
        found, raw = self._store.get_predictions(
            project, control.name, model.version, tasks, sources
        )
        mapping = control.label_map(model.classes)
        known = np.isin(np.arange(len(control.labels)), mapping)
        labels = _in_labels(raw, mapping, len(known))
        return ControlPredictions(control, model.version, found, labels, known)


def prelabels(
    predicted: PredictedTasks, settings: ProjectSettings, tasks: NDArray[np.int64]
) -> dict[int, tuple[Result, float]]:
    """Turn predictions into what Label Studio shows: task id to regions and overall score.

    A task whose image could not be read has none. The score is the mean of its regions'.
    """
    done: dict[int, tuple[Result, float]] = {}
    for table in predicted.controls:
        threshold = table.control.score_threshold
        threshold = settings.score_threshold if threshold is None else threshold
        for task, result in _encode(table, threshold, tasks):
            before, _ = done.get(task, ([], 0.0))
            done[task] = (before + result, 0.0)
    return {
        task: (result, float(np.mean([item["score"] for item in result])) if result else 0.0)
        for task, (result, _) in done.items()
        if task not in predicted.errors
    }


def _alone(
    model: Predictor,
    one: tuple[int, NDArray[np.uint8]],
    tasks: NDArray[np.int64],
    errors: dict[int, str],
) -> Predictions | None:
    row, image = one
    try:
        return model.predict([image])
    except ModelError as error:
        errors[int(tasks[row])] = f"task {tasks[row]}: {error}"
        return None


def _encode(
    table: ControlPredictions, threshold: float, tasks: NDArray[np.int64]
) -> list[tuple[int, Result]]:
    said = table.predictions
    found = tasks[table.found].tolist()
    if table.control.tag == "Choices":
        best = said.probs.argmax(axis=1) if said.probs.size else np.zeros(len(found), dtype=int)
        return [
            (task, encode_choice(table.control, int(best[row]), float(said.probs[row, best[row]])))
            if said.probs[row].max() >= threshold
            else (task, [])
            for row, task in enumerate(found)
        ]
    keep = (said.score >= threshold) & (said.label >= 0)
    label, box, score = said.label[keep], said.box[keep], said.score[keep]
    ends = np.searchsorted(said.image[keep], np.arange(len(found) + 1))
    return [
        (task, encode_boxes(table.control, label[a:b], box[a:b], score[a:b], said.size[row]))
        for row, (task, a, b) in enumerate(zip(found, ends[:-1], ends[1:], strict=True))
    ]


def _in_labels(raw: Predictions, mapping: NDArray[np.int32], count: int) -> Predictions:
    probs: NDArray[np.float32] = np.zeros((len(raw), count), dtype=np.float32)
    if raw.probs.size:
        taken = mapping >= 0
        np.add.at(probs.T, mapping[taken], raw.probs[:, taken].T)
    return Predictions(
        size=raw.size,
        image=raw.image,
        label=mapping[raw.label].astype(np.int32),
        box=raw.box,
        score=raw.score,
        probs=probs,
    )
