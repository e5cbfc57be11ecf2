"""One real Label Studio, one real Redis, real workers and the real backend per test session."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from playwright.sync_api import Page, sync_playwright
from pydantic import SecretStr
from rq.job import Job

from ml_backend.commands.stack import Stack
from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import (
    CONFIGS,
    SampleTask,
    connect_backend,
    create_project,
    upload_images,
)
from ml_backend.jobs.batches.orders import Order
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.run import ENDED, Run
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.processes import free_port
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from tests.integration.label_types import Case
from tests.integration.migrated import copy_migrated
from tests.made_models import make_models
from tests.page.pages import watched_pages

MODELS = Path(__file__).parents[2] / "ml_backend" / "demo" / "models"
MODELS_OF_TESTS = Path(__file__).parents[1] / "models"
MODEL = {"detection": "digits-detect.pt", "classification": "digits-classify.pt"}

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    deadline, pause = time.monotonic() + timeout, 0.1
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(pause)
        # Asking costs the server that is waited for the time it needs.
        pause = min(1.0, 1.3 * pause)
    raise AssertionError(f"{what} did not happen within {timeout:.0f} s")


def new_order(**wanted: Any) -> Order:
    """An order with a name of its own."""
    return Order(secrets.token_hex(3), **wanted)


@dataclass
class Bench:
    """The running parts, and what tests do with them over and over."""

    server: LabelStudioServer
    client: LabelStudio
    settings: ServiceSettings
    stack: Stack

    @property
    def asking(self) -> dict[str, str]:
        """All that the command line needs to know, on any machine."""
        return {"RELOOK_URL": self.stack.url, "LABEL_STUDIO_API_KEY": self.server.token()}

    @property
    def services(self) -> Services:
        """Parts of a process of its own, as a worker has them."""
        found = {"redis_url": SecretStr(self.stack.redis_url)}
        return Services(self.settings.model_copy(update=found))

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.stack.redis_url)

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.redis)

    @property
    def runs(self) -> RunBook:
        return RunBook(self.redis)

    @property
    def graph(self) -> RunGraph:
        return RunGraph(self.mailbox, self.runs)

    def project(self, kind: str, tasks: list[SampleTask], **params: Any) -> tuple[int, list[int]]:
        """Make a project of people's labels, connected as an admin would."""
        made, ids = create_project(self.client, self.server.url, kind, f"Test {kind}", tasks)
        self._connect(made, {"model": MODEL[kind], **params})
        return made, ids

    def labelled(self, case: Case, *, connect: bool = True) -> tuple[int, list[int]]:
        """Make a project of any label type, connected as an admin would."""
        project = int(self.client.projects.create(title="Test", label_config=case.config).id or 0)
        objects: list[Any] = list(case.objects)
        if case.control.reads == "image":
            objects = list(upload_images(self.client, self.server.url, project, objects))
        body = [
            {"data": {"object": one}, "annotations": [{"result": result}]}
            for one, result in zip(objects, case.results, strict=True)
        ]
        tasks = import_tasks(self.client, project, body)
        if connect:
            self.connect(project, case)
        return project, tasks

    def connect(self, project: int, case: Case) -> None:
        self._connect(project, {"model": case.model, **case.params})

    def _connect(self, project: int, settings: dict[str, Any]) -> None:
        try:
            connect_backend(self.client, project, self.stack.url, settings)
        except ApiError as error:
            # Label Studio waits three seconds; a cold backend on a busy machine takes longer.
            if "Read timed out" not in str(error.body):
                raise
            connect_backend(self.client, project, self.stack.url, settings)

    def analyze(self, project: int) -> Run:
        """Press "Start training" and wait for the run."""
        before = len(self.runs.of_project(project))
        connection = self.client.ml.list(project=project)[0].id
        self.client.ml.train(id=connection)
        assert len(self.runs.of_project(project)) > before, "Start training opened no run"
        return self.wait_for_run(project)

    def wait_for_run(self, project: int) -> Run:
        wait_for(lambda: self.runs.of_project(project)[0].state in ENDED, "the end of the run", 240)
        return self.runs.of_project(project)[0]

    def task(self, task: int) -> Any:
        return self.client.tasks.get(id=str(task))

    def flag(self, task: int) -> str | None:
        return self.task(task).data.get("relook_flag")

    def predictions(self, task: int, version: str | None = None) -> list[Any]:
        found = self.client.predictions.list(task=task)
        return [one for one in found if version is None or one.model_version == version]

    def jobs(self, *states: str) -> list[str]:
        """Events' jobs in one of the states.

        Each job says it itself: from the queue to its worker it stands in no list.
        """
        keys = [*self.mailbox.redis.scan_iter(Job.key_for("*"))]
        with self.mailbox.redis.pipeline(transaction=False) as asked:
            for key in keys:
                asked.hmget(key, "origin", "status")
            said = asked.execute()
        wanted = [[self.mailbox.events.name.encode(), state.encode()] for state in states]
        return [key.decode() for key, one in zip(keys, said, strict=True) if one in wanted]

    def settle(self, *projects: int, timeout: float = 60.0) -> None:
        """Wait until every event of the projects has been worked on."""

        def idle() -> bool:
            pending = any(map(self.mailbox.pending.count, projects))
            return not pending and not self.jobs("queued", "started")

        wait_for(idle, "an idle queue", timeout)

    def rest(self, project: int) -> None:
        """Wait until no job of the project is left, nor one for later.

        A new connection is looked at after two seconds: in that its settings are told once more.
        """

        def at_rest() -> bool:
            left = self.jobs("queued", "started", "scheduled")
            return not any(f"-{project}-" in job for job in left)

        wait_for(at_rest, "the end of the project's jobs")


@pytest.fixture(scope="session")
def migrated(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Make folders for Label Studios of one's own."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("label-studio")
    return lambda: copy_migrated(kept, tmp_path_factory.mktemp("label-studio"))


@pytest.fixture(scope="session")
def label_studio(migrated: Callable[[], Path]) -> Iterator[LabelStudioServer]:
    with LabelStudioServer(migrated()) as server:
        yield server


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's models and the tests' own, in one folder."""
    folder = tmp_path_factory.mktemp("models")
    for source in (MODELS, MODELS_OF_TESTS):
        for file in source.glob("*.pt"):
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def trained_models(model_dir: Path) -> None:
    """Models that are made for this session: exports, a timm network, text models."""
    make_models(model_dir)


@pytest.fixture(scope="session")
def bench(
    label_studio: LabelStudioServer, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    settings = ServiceSettings(
        # As in compose: Relook reaches it by another name than people do.
        LABEL_STUDIO_URL=label_studio.url.replace("127.0.0.1", "localhost"),
        LABEL_STUDIO_PUBLIC_URL=label_studio.url,
        LABEL_STUDIO_API_KEY=SecretStr(label_studio.token()),
        data_dir=tmp_path_factory.mktemp("relook"),
        model_dir=model_dir,
        model_hosts=("127.0.0.1",),
        model_classes=("tests.integration.standing_model:Truth",),
        port=free_port(),
        # A test that is about lost events has them looked for; by itself that could be at any time.
        reconcile_s=86_400,
    )
    with Stack(settings) as stack:
        yield Bench(label_studio, connect(settings), settings, stack)


@pytest.fixture(scope="module")
def page(label_studio: LabelStudioServer) -> Iterator[Page]:
    """A signed-in person's browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"{label_studio.url}/user/login/")
        page.fill("input[name=email]", label_studio.account.username)
        page.fill("input[name=password]", label_studio.account.password)
        page.click("button[type=submit]")
        page.wait_for_load_state("networkidle")
        yield page
        browser.close()


@pytest.fixture
def new_page(page: Page, bench: Bench) -> Iterator[Callable[..., Page]]:
    """Makes pages for the review page, whose contexts know nothing of the session of ``page``."""
    browser = page.context.browser
    assert browser is not None
    with watched_pages(browser, bench.stack.url) as make:
        yield make


@pytest.fixture(scope="session")
def configs() -> dict[str, str]:
    return CONFIGS
