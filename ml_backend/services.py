"""The parts of one process, put together once."""

from __future__ import annotations

from functools import cached_property

from label_studio_sdk import LabelStudio

from ml_backend.embedders.choice import EmbedderChoice
from ml_backend.jobs.queues.crashes import Crashes
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.files.media import MediaReader
from ml_backend.labelstudio.files.texts import TextReader
from ml_backend.prediction.model_choice import ModelChoice
from ml_backend.prediction.predicting import Prediction
from ml_backend.prediction.recent import RecentPredictions
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ServiceSettings
from ml_backend.storage.embedding_store import EmbeddingStore
from ml_backend.storage.looks import LookBook
from ml_backend.storage.page_columns import PageColumns
from ml_backend.storage.store import Store
from ml_backend.upstream.registry import UpstreamRegistry

__all__ = ["Services"]


class Services:
    """Everything a request or a job needs, each part made when first used.

    Args:
        settings: the service's settings.
        patient: as jobs want it: a Redis that is away is waited for, predictions are on disk
            before anybody goes on, and a download is worth the wait. A request waits for none.
    """

    def __init__(self, settings: ServiceSettings, patient: bool = True) -> None:
        self.settings = settings
        self._patient = patient
        self.models = ModelRegistry(settings, patient)
        self.upstreams = UpstreamRegistry(settings)

    @cached_property
    def mailbox(self) -> Mailbox:
        """Redis: queues, pending tasks, settings, locks."""
        return Mailbox(open_redis(self.settings, self._patient))

    @cached_property
    def runs(self) -> RunBook:
        """Where runs are written down."""
        return RunBook(self.mailbox.redis)

    @cached_property
    def graph(self) -> RunGraph:
        """What moves runs."""
        return RunGraph(self.mailbox, self.runs)

    @cached_property
    def crashes(self) -> Crashes:
        """What was under way when workers died."""
        return Crashes(self.mailbox.redis)

    @cached_property
    def client(self) -> LabelStudio:
        """A signed-in Label Studio client."""
        return connect(self.settings)

    @cached_property
    def store(self) -> Store:
        """Columns that can be computed again."""
        return Store(self.settings.store_location)

    @cached_property
    def looks(self) -> LookBook:
        """What tasks were when they were last looked at."""
        return LookBook(self.store.tables)

    @cached_property
    def page(self) -> PageColumns:
        """What the review page shows of each task."""
        return PageColumns(self.store.tables)

    @cached_property
    def embeddings(self) -> EmbeddingStore:
        """Vectors on disk."""
        return EmbeddingStore(self.store.tables)

    @cached_property
    def embedders(self) -> EmbedderChoice:
        """Which embedder serves which tag."""
        return EmbedderChoice(self.choice, self.settings)

    @cached_property
    def choice(self) -> ModelChoice:
        """Which model answers for which tag."""
        return ModelChoice(self.models, self.upstreams.get, self.settings.model)

    @cached_property
    def recent(self) -> RecentPredictions:
        """Predictions that are written after the answer."""
        return RecentPredictions(self.store)

    @cached_property
    def media(self) -> MediaReader:
        """Files of tasks."""
        return MediaReader(self.client, self.settings)

    @cached_property
    def prediction(self) -> Prediction:
        """Models over tasks."""
        images = self.media
        store = self.store if self._patient else self.recent
        return Prediction(self.choice, images, TextReader(images.fetch), store)

    @cached_property
    def kept(self) -> Prediction:
        """Predictions as they are on disk: all that were ever made, none of a moment ago."""
        return Prediction(self.choice, self.media, TextReader(self.media.fetch), self.store)

    def close(self) -> None:
        """Return when nothing is left to be written."""
        if "recent" in self.__dict__:
            self.recent.flush()
