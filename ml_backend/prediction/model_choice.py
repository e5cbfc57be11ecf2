"""Which model answers for which control tag of a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Protocol

from ml_backend.errors import ModelError
from ml_backend.labelstudio.config import Control, LabelingConfig
from ml_backend.prediction.answers import Answers, ModelAnswers, UpstreamAnswers, joined
from ml_backend.predictors.base import Predictor, names
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ProjectSettings
from ml_backend.upstream.base import Upstream
from ml_backend.upstream.existing import PREFIX as STANDING

__all__ = ["ModelChoice"]


class _Models(Protocol):
    def version(self, name: str) -> str: ...

    def get(self, name: str) -> Predictor: ...


class _Loaded:
    """Models as they are when first asked for: each is looked up once."""

    def __init__(self, models: _Models) -> None:
        self.get = cache(models.get)

    def version(self, name: str) -> str:
        return self.get(name).version


class ModelChoice:
    """Models by the names that admins give them.

    Args:
        models: the models of this process.
        upstream: returns a model that speaks Label Studio's language by its name, None where the
            name is one of ours.
        default: name of the model where neither project nor tag names one.
    """

    def __init__(
        self, models: ModelRegistry, upstream: Callable[[str], Upstream | None], default: str
    ) -> None:
        self.models = models
        self._upstream = upstream
        self._default = default

    def name(self, control: Control, settings: ProjectSettings) -> str:
        """Return the model that a control tag uses: its own, the project's, or the service's."""
        return control.model_path or settings.model or self._default

    def version(self, project: int, config: LabelingConfig, settings: ProjectSettings) -> str:
        """Return the version that a project's predictions carry, without loading a model.

        Several models are joined by "+"; "" where all predictions stand in Label Studio already.

        Raises:
            ModelError: when a model is not there.
        """
        answers = [self.answers(project, config, one, settings) for one in config.controls]
        return joined(one.version for one in answers)

    def answers(
        self, project: int, config: LabelingConfig, control: Control, settings: ProjectSettings
    ) -> Answers:
        """Return who answers for a control tag.

        Raises:
            ModelError: when its model is not there.
        """
        return self._answers(self.models, project, config, control, settings)

    def serving(
        self, project: int, config: LabelingConfig, settings: ProjectSettings
    ) -> list[Answers]:
        """Return who answers for each tag that ``served`` leaves, each model looked up once.

        Raises:
            ModelError: as ``served`` does.
        """
        models = _Loaded(self.models)
        served = self._served(models, config, settings)
        return [self._answers(models, project, served, one, settings) for one in served.controls]

    def own_model(self, control: Control, settings: ProjectSettings) -> Predictor | None:
        """Return the model of ours that answers for a control tag; None where another's does.

        Raises:
            ModelError: when it is not there or cannot be loaded.
        """
        name = self.name(control, settings)
        return self.models.get(name) if self._upstream(name) is None else None

    def served(self, config: LabelingConfig, settings: ProjectSettings) -> LabelingConfig:
        """Return the config without the tags that the project's model was not made for.

        A tag that names its own model means that one: there a misfit is an error.

        Raises:
            ModelError: when a tag's own model does not fit it, or no tag is left.
        """
        return self._served(self.models, config, settings)

    def unmapped(self, config: LabelingConfig, settings: ProjectSettings) -> dict[str, str]:
        """Say which classes of a project's models no label takes: tag to what to mend."""
        said = {}
        for control in config.controls:
            name = self.name(control, settings)
            if self._upstream(name) is not None:
                continue
            lost = control.unmapped(names(self.models.get(name), control.geometry))
            if lost:
                said[control.name] = (
                    f"{control.name!r}: no label takes the classes {', '.join(lost[:20])}"
                    f"{' and more' if len(lost) > 20 else ''} of model {name!r}. What they predict "
                    "is left out; name a class in a label's predicted_values to take it."
                )
        return said

    def _answers(
        self,
        models: _Models,
        project: int,
        config: LabelingConfig,
        control: Control,
        settings: ProjectSettings,
    ) -> Answers:
        name = self.name(control, settings)
        upstream = self._upstream(name)
        if upstream is None:
            return ModelAnswers(control, models.version(name), lambda: models.get(name))
        version = upstream.version(project, config.xml)
        stands = name.startswith(STANDING)
        prefix = settings.field_prefix
        return UpstreamAnswers(control, version, stands, upstream, project, config, prefix)

    def _served(
        self, models: _Models, config: LabelingConfig, settings: ProjectSettings
    ) -> LabelingConfig:
        kept = tuple(one for one in config.controls if self._fits(models, one, settings))
        if not kept:
            tags = ", ".join(f"{one.name!r} ({one.tag})" for one in config.controls)
            asked = {self.name(one, settings) for one in config.controls}
            raise ModelError(
                f"model {', '.join(map(repr, sorted(asked)))} can answer for none of the tags "
                f"{tags}; name a model that can, for the project or as a tag's model_path"
            )
        return replace(config, controls=kept)

    def _fits(self, models: _Models, control: Control, settings: ProjectSettings) -> bool:
        name = self.name(control, settings)
        if self._upstream(name) is not None:
            return True
        model = models.get(name)
        if control.geometry in model.serves and control.reads == model.reads:
            return True
        if control.model_path:
            raise ModelError(
                f"model {name!r} reads {model.reads}s and answers in "
                f"{', '.join(sorted(model.serves))}, but {control.name!r} is a {control.tag} on "
                f"{control.reads}s: name another model in its model_path, or set "
                'model_skip="true" on it'
            )
        return False
