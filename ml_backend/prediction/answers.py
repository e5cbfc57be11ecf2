"""Who answers for a control tag: a model of ours, or one that speaks Label Studio's language."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import MediaError, ModelError
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.predictors.base import Input, Predictions, Predictor, names
from ml_backend.upstream.base import Answer, Upstream, UpstreamTask
from ml_backend.upstream.columns import predictions_of

__all__ = ["Answers", "Ask", "ModelAnswers", "Read", "UpstreamAnswers", "ask", "joined"]

#: Some tasks' rows and what is said of them.
Part = tuple[list[int], Predictions]


class Read(Protocol):
    """What control tags label in some tasks."""

    def __call__(self, control: Control, rows: Sequence[int]) -> list[Input | MediaError]:
        """Return what was read beforehand, for those who need inputs."""
        ...

    def sizes(
        self, control: Control, rows: Sequence[int]
    ) -> Iterator[tuple[int, int] | MediaError]:
        """Yield width and height of images."""
        ...


class Ask(Protocol):
    """Asks a model about some tasks' inputs."""

    def __call__(
        self,
        control: Control,
        model: Predictor,
        tasks: NDArray[np.int64],
        items: Sequence[Input],
    ) -> Predictions:
        """Return what the model says, in the control tag's geometry.

        Args:
            control: the control tag.
            model: the model.
            tasks: int64 (N,), task ids.
            items: their N inputs.

        Raises:
            ModelError: when the model fails on them.
        """
        ...


def ask(
    control: Control, model: Predictor, tasks: NDArray[np.int64], items: Sequence[Input]
) -> Predictions:
    """Ask a model, and do no more; see ``Ask``."""
    return model.predict(items, control.geometry)


def joined(versions: Iterable[str]) -> str:
    """Return what the predictions of several models are called together, each named once."""
    return "+".join(dict.fromkeys(filter(None, versions)))


class Answers(Protocol):
    """What answers for one control tag of one project.

    Attributes:
        control: the control tag.
        version: what Label Studio is told; "" where the predictions already stand there.
        key: what the answers are stored under.
        needs_inputs: whether images or texts are worth reading beforehand.
    """

    control: Control
    version: str
    key: str
    needs_inputs: bool

    def sources(self, inputs: TaskInputs) -> list[str]:
        """Return what the answer for each task depends on, besides the model."""
        ...

    def answer(
        self,
        inputs: TaskInputs,
        rows: Sequence[int],
        read: Read,
        errors: dict[int, str],
        asking: Ask,
    ) -> Iterator[Part]:
        """Yield what is said of these rows; those that cannot be answered go into ``errors``.

        Args:
            inputs: the tasks.
            rows: those to answer for.
            read: what was read of them.
            errors: task id to what is wrong with it.
            asking: what asks a model of ours.

        Raises:
            ModelError: when the model fails for a reason that lies in no task.
        """
        ...

    def label_map(self) -> NDArray[np.int32]:
        """Return the label of each class that the answers are in, -1 where it has none."""
        ...


class ModelAnswers:
    """A model of ours, see ``Answers``.

    Args:
        control: the control tag.
        version: the model's version.
        load: returns the model; called once, when it is first needed.
    """

    needs_inputs = True

    def __init__(self, control: Control, version: str, load: Callable[[], Predictor]) -> None:
        self.control = control
        self.version = version
        # One model may answer in several geometries, and people rename tags.
        self.key = f"{version}/{control.geometry}"
        self._load = cache(load)

    def sources(self, inputs: TaskInputs) -> list[str]:
        """Return the addresses of images, and what texts come to."""
        values = inputs.values(self.control.data_key)
        if self.control.reads == "image" or self.control.by_url:
            return values
        return [_digest(text) for text in values]

    def answer(
        self,
        inputs: TaskInputs,
        rows: Sequence[int],
        read: Read,
        errors: dict[int, str],
        asking: Ask,
    ) -> Iterator[Part]:
        """Yield what the model says, see ``Answers``."""
        ready = []
        for row, item in zip(rows, read(self.control, rows), strict=True):
            if isinstance(item, MediaError):
                errors[int(inputs.id[row])] = str(item)
            else:
                ready.append((row, item))
        if not ready:
            return
        model, control = self._load(), self.control
        try:
            given = [row for row, _ in ready]
            yield given, asking(control, model, inputs.id[given], [item for _, item in ready])
        except ModelError:
            # One input that a model cannot take must not stop the others.
            for row, item in ready:
                try:
                    yield [row], asking(control, model, inputs.id[[row]], [item])
                except ModelError as error:
                    errors[int(inputs.id[row])] = f"task {inputs.id[row]}: {error}"

    def label_map(self) -> NDArray[np.int32]:
        """Return the label of each of the model's classes."""
        return self.control.label_map(names(self._load(), self.control.geometry))


class UpstreamAnswers:
    """A model that is given tasks and returns regions, see ``Answers``.

    Args:
        control: the control tag.
        version: what its predictions are called.
        stands: whether they stand in Label Studio already.
        upstream: the model.
        project: id of the project.
        config: its labelling config.
        prefix: what the names of Relook's own fields begin with: what we write changes no answer.
    """

    needs_inputs = False

    def __init__(
        self,
        control: Control,
        version: str,
        stands: bool,
        upstream: Upstream,
        project: int,
        config: LabelingConfig,
        prefix: str,
    ) -> None:
        self.control = control
        self.version = "" if stands else version
        # Whatever stands in the config may change what a foreign model says of a task.
        asked = repr((control.labels, control.multiple)) if stands else config.xml
        self.key = f"{version}/{control.geometry}/{_digest(asked)}"
        self._prefix = f"{prefix}_"
        self._stands = stands
        self._upstream = upstream
        self._project = project
        self._config = config

    def sources(self, inputs: TaskInputs) -> list[str]:
        """Return a digest of the data of each task, and of what stands there already."""
        return [self._source(task) for task in inputs.body]

    def _source(self, task: Mapping[str, Any]) -> str:
        stands = task.get("predictions") if self._stands else None
        data = {key: one for key, one in task["data"].items() if not key.startswith(self._prefix)}
        return _digest(json.dumps([data, stands], sort_keys=True, default=str))

    def answer(
        self,
        inputs: TaskInputs,
        rows: Sequence[int],
        read: Read,
        errors: dict[int, str],
        asking: Ask,
    ) -> Iterator[Part]:
        """Yield what the model says, see ``Answers``."""
        tasks = [UpstreamTask(int(inputs.id[row]), dict(inputs.body[row])) for row in rows]
        said = self._upstream.predict(self._project, self._config.xml, tasks)
        good: list[tuple[int, Answer]] = []
        for row, one in zip(rows, said, strict=True):
            if isinstance(one, ModelError):
                task, wrong = int(inputs.id[row]), str(one)
                errors[task] = wrong if wrong.startswith("task ") else f"task {task}: {wrong}"
            elif one is not None:
                good.append((row, one))
        if good:
            yield self._in_columns(inputs, good, read, errors)

    def _in_columns(
        self,
        inputs: TaskInputs,
        good: Sequence[tuple[int, Answer]],
        read: Read,
        errors: dict[int, str],
    ) -> Part:
        rows, answers = [row for row, _ in good], [one for _, one in good]
        said = predictions_of(self.control, answers)
        if self.control.reads == "text" or self.control.geometry == "choice":
            return rows, said
        size = said.size.copy()
        unknown = np.flatnonzero(~size.all(axis=1))
        if not len(unknown):
            return rows, said
        # No region says how large these images are: they do.
        found = read.sizes(self.control, [rows[n] for n in unknown])
        for n, one in zip(unknown.tolist(), found, strict=True):
            if isinstance(one, MediaError):
                errors[int(inputs.id[rows[n]])] = str(one)
            else:
                size[n] = one
        said = predictions_of(self.control, answers, size)
        usable = np.flatnonzero(size.all(axis=1))
        return [rows[n] for n in usable.tolist()], said.take(usable)

    def label_map(self) -> NDArray[np.int32]:
        """Return each label for itself."""
        return np.arange(len(self.control.labels), dtype=np.int32)


def _digest(text: str) -> str:
    # Half of a surrogate pair is no text, but may stand in JSON.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
