"""What the documents have a reader type is typed here, as they have it, against a real stack.

The commands are read from the fenced blocks of README.md and docs/, so a document that changes is
tested as it then is. The stack is the one that the README's own five steps start.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from rq import Worker

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import create_project, upload_images
from ml_backend.jobs.queues.embedded_redis import running_address
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.labelstudio import approvals
from ml_backend.labelstudio.client import connect
from ml_backend.processes import ChildProcess, free_port
from ml_backend.settings import ServiceSettings
from tests.integration.conftest import MODELS
from tests.integration.samples import one_missing, right, scenes, wrong_class

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)

#: What is not run here, by how it begins, and why.
NOT_HERE = {
    "docker ": "no Docker engine runs where Relook is developed; tests/unit/test_docker.py",
    "LABEL_STUDIO_API_KEY=later docker ": "the same",
    "cp docker/.env.example ": "prepares that",
    "make ": "installs gigabytes or takes minutes; what each would do is asked of make below",
    "python -m benchmarks.": "measures for minutes, beside Plotly",
    ".venv/bin/python docs/take_screenshots.py": "writes pictures into the documents",
    "relook demo": "takes minutes; tests/integration/test_demo.py",
}
#: Those that run until they are stopped.
SERVERS = ("relook start", "relook serve", "relook worker")
#: What a command says when it has done what the document promises, by how it begins.
SAID = {
    "relook analyze ": "done, ",
    "relook runs ": "done",
    "relook run ": "need review",
    "relook cancel ": "is cancelled",
    "relook retry ": "done, ",
    "relook approve PROJECT --dry-run": "tasks would be approved",
    "relook approve ": " approved",
    "relook approve-undo ": "without a label again",
    "relook batch ": " sent",
    "relook batches ": "conflicts",
    "relook batch-cancel ": "tasks withdrawn",
    "relook annotators PROJECT --csv": "annotator",
    "relook annotators ": "error share",
    "relook doctor": "ok",
    "relook worker --check": "at work",
    "curl ": "",
}
#: What `...` stands for.
SECRETS = {"LABEL_STUDIO_API_KEY": "TOKEN", "RELOOK_BASIC_AUTH_PASS": "PASSWORD"}
PASSWORD = "sixteen letters or more"


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for fenced in FENCE.finditer(text):
            lines = fenced[2].replace("\\\n", " ").splitlines()
            # As a shell reads them: without comments.
            commands = (shlex.join(shlex.split(line, comments=True)) for line in lines)
            written = [
                re.sub(r"(^|\s)# .*$", "", line).strip()
                for line, known in zip(lines, commands, strict=True)
                if known
            ]
            line = text[: fenced.start()].count("\n") + 2
            found.append(Block(page.name, line, tuple(written)))
    return found


def not_here(command: str) -> bool:
    return command.startswith(tuple(NOT_HERE))


def begins(command: str, known: dict[str, str]) -> str | None:
    return next((said for start, said in known.items() if command.startswith(start)), None)


RUN_HERE = [block for block in blocks() if not all(map(not_here, block.commands))]


class Reader:
    """Somebody with a Label Studio, a model folder, and the documents."""

    def __init__(self, label_studio: LabelStudioServer, folder: Path) -> None:
        self.label_studio, self.folder = label_studio, folder
        self.token = label_studio.token()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name, command in (
            ("relook", f'exec {sys.executable} -m ml_backend.commands.cli "$@"'),
            ("python", f'exec {sys.executable} "$@"'),
        ):
            (bin_folder / name).write_text(f"#!/bin/sh\n{command}\n")
            (bin_folder / name).chmod(stat.S_IRWXU)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RELOOK_", "LABEL_STUDIO_", "REDIS_"))
        }
        self.bare = {
            **kept,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            # So that a table's columns are not cut off.
            "COLUMNS": "200",
            "TOKEN": self.token,
        }
        self.stack: Standing | None = None
        self.project = 0
        self.tasks: list[int] = []

    @property
    def here(self) -> Standing:
        assert self.stack is not None
        return self.stack

    def filled(self, command: str) -> str:
        """Put in what a reader puts in."""
        url = self.here.url if self.stack else ""
        for name, value in (
            ("http://label-studio.example:8080", self.label_studio.url),
            ("http://relook.example:9090", url),
            ("http://127.0.0.1:9090", url),
            ("/srv/models", str(MODELS)),
            ("/projects/7/", f"/projects/{self.project}/"),
            ("--project 12", f"--project {self.project}"),
            ("--task 7,8,9", f"--task {','.join(map(str, self.tasks[:3]))}"),
            ("[12, 15]", str(self.tasks[:2])),
            ("PROJECT", str(self.project)),
        ):
            command = command.replace(name, value)
        if "RUN" in command.split():
            command = command.replace("RUN", self.here.run(command.split()[1], self.project))
        for name in ("[BATCH]", "BATCH"):
            if name in command.split():
                command = command.replace(name, self.batch(command.split()[1]))
        given = re.match(r"export (\w+)=\.\.\.$", command)
        if given:
            secret = {"TOKEN": self.token, "PASSWORD": PASSWORD}[SECRETS[given[1]]]
            return f"export {given[1]}={shlex.quote(secret)}"
        return command

    def batch(self, command: str) -> str:
        if command == "approve-undo":
            return next(iter(approvals.batches(self.here.client, self.project)))
        return self.batches()[0]

    def batches(self) -> list[str]:
        """The batches of the project that hold something still."""
        address = f"{self.here.url}/api/projects/{self.project}/batches"
        signed = {"Authorization": f"Bearer {self.token}"}
        found = httpx.get(address, headers=signed, timeout=60).raise_for_status().json()
        return [one["id"] for one in found if one["open"]]

    def run(self, command: str, exports: tuple[str, ...] = (), **variables: str) -> Any:
        environment = {**self.bare, **(self.here.environment if self.stack else {}), **variables}
        script = "\n".join([*exports, self.filled(command)])
        return subprocess.run(
            ["/bin/sh", "-ec", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self, command: str, exports: tuple[str, ...], name: str) -> Standing:
        """Start a server, beside others: it has a port and a folder of its own."""
        port = free_port()
        if command.startswith("relook start"):
            # It brings a Redis of its own.
            environment = self.bare | {"RELOOK_DATA_DIR": str(self.folder / name)}
        else:
            environment = self.bare | self.here.environment | {"REDIS_URL": self.here.redis_url}
        environment["RELOOK_PORT"] = str(port)
        script = "\n".join([*map(self.filled, exports), f"exec {self.filled(command)}"])
        process = ChildProcess(
            name, ["/bin/sh", "-ec", script], self.folder / f"{name}.log", environment
        )
        said = dict(_export(self.filled(one)) for one in exports)
        return Standing(process, port, {**environment, **said})


def _export(command: str) -> tuple[str, str]:
    name, value = shlex.split(command)[1].split("=", 1)
    return name, value


@dataclass
class Standing:
    """A server that was started as a document has it."""

    process: ChildProcess
    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        given = self.environment.get("REDIS_URL")
        return given or running_address(Path(self.environment["RELOOK_DATA_DIR"]))

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    @property
    def client(self) -> Any:
        return connect(
            ServiceSettings(
                LABEL_STUDIO_URL=self.environment["LABEL_STUDIO_URL"],
                LABEL_STUDIO_API_KEY=self.environment["LABEL_STUDIO_API_KEY"],
            )
        )

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def works(self) -> bool:
        """Whether a worker of this process is known."""
        return self.process.pid in self.workers()

    def workers(self) -> list[int]:
        """The process ids of all workers."""
        known = (int(one.pid) for one in Worker.all(connection=self.redis))
        # Redis knows one that was killed a while longer.
        return [one for one in known if psutil.pid_exists(one)]

    def run(self, command: str, project: int) -> str:
        """A run that the command is about: one to end, one that was ended, or the newest."""
        book = RunBook(self.redis)
        graph = RunGraph(Mailbox(self.redis), book)
        if command == "run":
            return book.of_project(project)[0].id
        run = graph.start(project)
        return run.id if command == "cancel" else graph.cancel(run.id).id


def the_first_steps() -> Block:
    (block,) = [
        one for one in blocks() if one.page == "README.md" and "relook start" in one.commands
    ]
    return block


@pytest.fixture(scope="module")
def reader(
    label_studio: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    """Has followed the README: Relook runs, and a project is connected and analysed."""
    here = Reader(label_studio, tmp_path_factory.mktemp("reader"))
    *exports, start = the_first_steps().commands
    standing = here.start(start, tuple(exports), "relook")
    with standing.process:
        standing.process.wait_ready(standing.answers, timeout=240)
        here.stack = standing
        client = standing.client
        made = scenes(8, seed=31)
        labelled = [*map(wrong_class, made[:2]), one_missing(made[2]), *map(right, made[3:4])]
        here.project, here.tasks = create_project(
            client, label_studio.url, "detection", "Documents", labelled
        )
        images = upload_images(
            client, label_studio.url, here.project, [scene.image for scene in made[4:]]
        )
        client.projects.import_tasks(
            id=here.project, request=[{"data": {"image": one}} for one in images]
        )
        settings: Any = {"model": "digits-detect.pt"}
        client.ml.create(
            url=standing.url,
            project=here.project,
            title="Relook",
            extra_params=settings,
            auth_method="BASIC_AUTH",
            basic_auth_user=standing.environment["RELOOK_BASIC_AUTH_USER"],
            basic_auth_pass=standing.environment["RELOOK_BASIC_AUTH_PASS"],
        )
        done = here.run("relook analyze PROJECT")
        assert done.returncode == 0, done.stderr
        yield here


@pytest.mark.parametrize("block", RUN_HERE, ids=str)
def test_a_block_does_what_it_says(reader: Reader, block: Block):
    exports: list[str] = []
    running: list[ChildProcess] = []
    variables: dict[str, str] = {}
    try:
        for number, command in enumerate(block.commands):
            if not_here(command):
                continue
            if command.startswith("export "):
                exports.append(command)
            elif command in SERVERS:
                standing = reader.start(command, tuple(exports), f"{block}-{number}")
                running.append(standing.process)
                ready = standing.works if command == "relook worker" else standing.answers
                standing.process.wait_ready(ready, timeout=240)
                variables = standing.environment if exports else {}
            else:
                _run(reader, command, variables)
    finally:
        for process in reversed(running):
            process.stop()


def _run(reader: Reader, command: str, variables: dict[str, str]) -> None:
    if command.startswith("relook batch "):
        # What is in a batch is not sent again.
        for batch in reader.batches():
            reader.run(f"relook batch-cancel PROJECT {batch}").check_returncode()
    # A run of a few tasks ends while a command starts.
    at_rest = reader.here.workers() if command.startswith("relook cancel ") else []
    for worker in at_rest:
        os.kill(worker, signal.SIGSTOP)
    try:
        done = reader.run(command, **variables)
    finally:
        for worker in at_rest:
            os.kill(worker, signal.SIGCONT)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    said = begins(command, SAID)
    assert said is not None, f"{command}: SAID does not know what it should say"
    assert said in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    if command.startswith("curl ") and "-X PUT" not in command:
        answer = json.loads(done.stdout)
        assert "detail" not in answer, answer


@pytest.mark.parametrize(
    "command",
    sorted({one for block in blocks() for one in block.commands if one.startswith("make ")}),
)
def test_make_would_know_what_to_do(command: str):
    done = subprocess.run(
        [*shlex.split(command), "--dry-run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_what_is_not_run_here_is_still_written():
    commands = [one for block in blocks() for one in block.commands]
    for start in (*NOT_HERE, *SAID, *SERVERS):
        assert any(one.startswith(start) for one in commands), start
