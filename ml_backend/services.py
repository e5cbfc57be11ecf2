"""The parts of one process, put together once."""

from __future__ import annotations

from functools import cached_property

from label_studio_sdk import LabelStudio

from ml_backend.jobs.queue import Mailbox, open_redis
from ml_backend.jobs.runs import RunBook
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.config import LabelingConfig
from ml_backend.labelstudio.media import MediaReader
from ml_backend.prediction import Prediction, model_version
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ProjectSettings, ServiceSettings
from ml_backend.store import Store

__all__ = ["Services"]


class Services:
    """Everything a request or a job needs, each part made when first used.

    Args:
        settings: the service's settings.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.models = ModelRegistry(settings.model_dir, settings.threads)

    @cached_property
    def mailbox(self) -> Mailbox:
        """Redis: queues, pending tasks, settings, locks."""
        return Mailbox(open_redis(self.settings))

    @cached_property
    def runs(self) -> RunBook:
        """Where runs are written down."""
        return RunBook(self.mailbox.redis)

    @cached_property
    def client(self) -> LabelStudio:
        """A signed-in Label Studio client."""
        return connect(self.settings)

    @cached_property
    def store(self) -> Store:
        """Columns on disk."""
        return Store(self.settings.data_dir / "store")

    @cached_property
    def prediction(self) -> Prediction:
        """Models over tasks."""
        media = MediaReader(self.client, self.settings)
        return Prediction(self.models, media, self.store, self.settings.model)

    def version(self, config: LabelingConfig, settings: ProjectSettings) -> str:
        """Return the version that a project's predictions carry, without loading a model.

        Raises:
            ModelError: when a model is not there.
        """
        return model_version(self.models, config, settings, self.settings.model)
