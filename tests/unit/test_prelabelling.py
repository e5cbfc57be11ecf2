"""What runs leave to be sent, and events that come in between: a real store, Redis and model."""

import copy

import numpy as np
import pytest

from ml_backend.demo.projects import human_result
from ml_backend.jobs import events
from ml_backend.jobs.project.outgoing import _ROWS
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION
from tests import made_project
from tests.integration.samples import right, scenes
from tests.made_project import PROJECT, TASKS

#: A task of the made project whose label is wrong.
WRONG = 1


@pytest.fixture
def studio():
    made = made_project.LabelStudioWithOneProject()
    with made.listening():
        yield made


@pytest.fixture
def services(studio, tmp_path, monkeypatch):
    with made_project.made_services(studio, tmp_path) as services:
        monkeypatch.setattr(events, "services", lambda: services)
        yield services


def score(services, tasks, *, in_bulk=False):
    work = ProjectWork.open(services, PROJECT, in_bulk=in_bulk)
    assert work.score(np.array(tasks, dtype=np.int64), lambda: None).errors.keys() <= {"8"}


def suggested(services):
    """The tasks whose suggestions are on their way."""
    outgoing = ProjectWork.open(services, PROJECT).prelabelling._outgoing
    rows = services.store.tables.read(outgoing._name, _ROWS).to_pylist()
    return {row["task"] for row in rows if row["version"] == SUGGESTION_VERSION}


def correct(studio, task):
    """Save a task's label as somebody does who has seen what is wrong with it."""
    (label,) = studio.tasks[task]["annotations"]
    mended = human_result("detection", right(scenes(len(TASKS))[task - 1]))
    moment = "2026-01-03T03:04:05.678901Z"
    studio.tasks[task]["annotations"] = [
        copy.deepcopy(label) | {"result": mended, "updated_at": moment, "updated_by": 1}
    ]
    studio.tasks[task]["updated_at"] = moment


def sends(services):
    """The jobs that are to send what waits."""
    later = services.mailbox.events.scheduled_job_registry.get_job_ids()
    return [job for job in later if job.startswith(f"send-{PROJECT}-")]


def test_the_suggestion_of_a_task_that_was_corrected_meanwhile_is_not_sent(studio, services):
    score(services, TASKS, in_bulk=True)
    before = suggested(services)
    assert WRONG in before
    assert studio.tasks[WRONG]["data"]["relook_flag"] == "needs-review"
    correct(studio, WRONG)
    score(services, [WRONG])
    assert studio.tasks[WRONG]["data"]["relook_flag"] == "corrected"
    assert suggested(services) == before - {WRONG}


def test_what_an_event_leaves_behind_a_runs_leftovers_is_sent(services):
    score(services, TASKS, in_bulk=True)
    assert sends(services) == []
    run = services.runs.open(PROJECT)
    score(services, [WRONG])
    assert len(sends(services)) == 1
    # The run may send it with others; it ends without.
    events.send_predictions(PROJECT)
    assert WRONG in suggested(services)
    assert len(sends(services)) == 2
    services.runs.close(run.id, "cancelled")
    events.send_predictions(PROJECT)
    assert suggested(services) == set()
    assert len(sends(services)) == 2
