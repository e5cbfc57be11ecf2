"""`relook doctor` on a chain that is whole, and on chains with one link broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.processes import free_port
from ml_backend.settings import variable
from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes

DOCTOR = [sys.executable, "-m", "ml_backend.commands.cli", "doctor"]


@pytest.fixture(scope="module")
def project(bench: Bench) -> int:
    number, _ = bench.project("detection", [right(scene) for scene in scenes(1, seed=5)])
    bench.settle(number)
    return number


def doctor(bench: Bench, *options: str, **changed: Any) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run it as the stack is set up but for some settings; what was looked at to word and rest."""
    own = bench.settings.environment() | {variable("redis_url"): bench.stack.redis_url}
    environment = {**os.environ, **own}
    environment |= {variable(name): str(value) for name, value in changed.items()}
    ended = subprocess.run(
        [*DOCTOR, *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert not ended.stderr, ended.stderr
    lines = [line.split(maxsplit=1) for line in ended.stdout.splitlines()]
    found = {rest.split(": ")[0]: (word, rest) for word, rest in lines}
    # What is looked at within one project or address has a name of two parts.
    found |= {": ".join(rest.split(": ")[:2]): (word, rest) for word, rest in lines}
    return ended.returncode, found


def test_a_whole_chain_is_well(bench: Bench, project):
    code, found = doctor(bench, "--project", str(project))
    assert code == 0, found
    wanted = ["Label Studio", "token", "Redis", "workers", "store", "model folder", "backend"]
    for what in [*wanted, f"project {project}", f"project {project}: events"]:
        assert found[what][0] == "ok", found[what]
    assert "digits-detect" in found[f"project {project}"][1] or "arrive" in str(found)
    assert "1.23" in found["Label Studio"][1]


def test_rights_are_tried_without_a_trace(bench: Bench, project):
    def standing() -> list[Any]:
        tasks = [task.dict() for task in bench.client.tasks.list(project=project, fields="all")]
        for task in tasks:
            for one in [*task["annotations"], *task["predictions"]]:
                # Which goes on by itself.
                one.pop("created_ago", None)
        columns = bench.client.projects.get(id=project).dict()
        views = [one.dict() for one in bench.client.views.list(project=project)]
        return [tasks, columns, views]

    bench.rest(project)
    before = standing()
    _, found = doctor(bench, "--project", str(project))
    word, said = found[f"project {project}: rights"]
    assert word == "ok", said
    assert "fields of tasks, predictions, single predictions, tabs, webhooks" in said
    assert standing() == before


def test_an_address_is_tried_with_a_project_that_is_gone_afterwards(bench: Bench, project):
    before = {one.id for one in bench.client.projects.list()}
    known = bench.mailbox.projects()
    code, found = doctor(bench, "--project", str(project), "--address", bench.stack.url)
    assert code == 0, found
    assert found[f"connecting {bench.stack.url}: events"][0] == "ok"
    assert {one.id for one in bench.client.projects.list()} == before
    assert bench.mailbox.projects() == known


@pytest.mark.parametrize(
    ("changed", "what", "said"),
    [
        ({"label_studio_url": "http://127.0.0.1:9"}, "Label Studio", "check LABEL_STUDIO_URL"),
        ({"label_studio_url": "no address"}, "Label Studio", "check LABEL_STUDIO_URL"),
        ({"label_studio_api_key": "f" * 40}, "token", "LABEL_STUDIO_API_KEY"),
        ({"redis_url": "redis://127.0.0.1:9/0"}, "Redis", "REDIS_URL is right"),
        ({"redis_url": "nonsense"}, "Redis", "REDIS_URL"),
        ({"store": "/proc/relook"}, "store", "RELOOK_STORE"),
        ({"port": free_port()}, "backend", "relook serve"),
        ({"model_dir": "/nowhere"}, "project", "is not in the model folder"),
    ],
    ids=["url", "no url", "token", "redis", "no redis", "store", "backend", "model"],
)
def test_a_broken_link_is_named_with_its_mend(bench: Bench, project, changed, what, said):
    code, found = doctor(bench, "--project", str(project), **changed)
    assert code == 1
    what = f"project {project}" if what == "project" else what
    word, line = found[what]
    assert word == "FAILS"
    assert said in line
    others = {name for name, (word, _) in found.items() if word == "FAILS"}
    assert {name.split(": ")[0] for name in others} == {what}


def test_a_webhook_that_is_off_or_gone_is_named(bench: Bench):
    number, _ = bench.project("detection", [right(scenes(1, seed=6)[0])])
    (webhook,) = bench.client.webhooks.list(project=str(number))
    bench.client.webhooks.update(id=int(webhook.id or 0), url=webhook.url, is_active=False)
    code, found = doctor(bench, "--project", str(number))
    assert code == 1
    assert "it is switched off" in found[f"project {number}: webhook"][1]
    bench.client.webhooks.delete(id=int(webhook.id or 0))
    code, found = doctor(bench, "--project", str(number))
    assert code == 1
    assert "remove the model connection and add it again" in found[f"project {number}: webhook"][1]


def test_an_event_that_goes_elsewhere_does_not_arrive(bench: Bench):
    number, _ = bench.project("detection", [right(scenes(1, seed=8)[0])])
    mute = Mute(bench, number)
    code, found = doctor(bench, "--project", str(number))
    assert code == 1
    assert "do not arrive" in found[f"project {number}: events"][1]
    mute.undo()
    assert doctor(bench, "--project", str(number))[0] == 0


class Mute:
    """Takes a project's webhook the one action that the doctor causes."""

    def __init__(self, bench: Bench, project: int) -> None:
        self._bench = bench
        (self._webhook,) = bench.client.webhooks.list(project=str(project))
        self._set(send_for_all_actions=False, actions=["ANNOTATION_CREATED"])

    def undo(self) -> None:
        self._set(send_for_all_actions=True)

    def _set(self, **wanted: Any) -> None:
        number = int(self._webhook.id or 0)
        self._bench.client.webhooks.update(id=number, url=self._webhook.url, **wanted)


@pytest.fixture(scope="module")
def strict(migrated: Callable[[], Path]) -> Iterator[LabelStudioServer]:
    """A Label Studio with its own bans, as it comes."""
    with Strict(migrated()) as server:
        yield server


class Strict(LabelStudioServer):
    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "USE_DEFAULT_BANNED_SUBNETS": "true"}


def test_a_label_studio_that_bans_private_addresses_is_told_apart(bench: Bench, strict):
    given = {"label_studio_url": strict.url, "label_studio_api_key": strict.token()}
    code, found = doctor(bench, "--address", bench.stack.url, "--project", "0", **given)
    assert code == 1
    word, line = found[f"connecting {bench.stack.url}"]
    assert word == "FAILS"
    assert "USE_DEFAULT_BANNED_SUBNETS=false" in line


def test_what_relook_start_runs_is_found_by_its_data_folder(bench: Bench, tmp_path: Path):
    _, found = doctor(bench, redis_url="", data_dir=bench.settings.data_dir)
    assert found["Redis"][0] == "ok"
    _, found = doctor(bench, redis_url="", data_dir=tmp_path)
    assert found["Redis"][0] == "FAILS"
    assert "REDIS_URL is not set" in found["Redis"][1]
