"""What the command line tells of runs."""

import pytest
from typer.testing import CliRunner

from ml_backend.commands.cli import app
from ml_backend.errors import RunError
from ml_backend.jobs.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queue import Mailbox, open_redis
from ml_backend.jobs.runs import RunBook
from ml_backend.settings import service_settings


@pytest.fixture
def book(tmp_path, monkeypatch):
    with EmbeddedRedis(tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        service_settings.cache_clear()
        yield RunBook(Mailbox(open_redis(service_settings())).redis)
    service_settings.cache_clear()


def relook(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_run_is_shown_with_its_log_and_what_is_wrong_with_which_task(book):
    run = book.open(7)
    book.begin_stage(run.id, "scoring", 0, 10)
    book.log(run.id, "scoring: 10 of 10 tasks")
    book.log(run.id, "model [tiny] has no class 'cab'")
    book.note_errors(run.id, {"5": "task 5: its image cannot be read"})
    shown = relook("run", run.id)
    assert shown.exit_code == 0
    said = shown.stdout.splitlines()
    assert said[0] == f"run {run.id} of project 7: running, scoring"
    assert said[2].endswith(" scoring: 10 of 10 tasks")
    assert said[3].endswith(" model [tiny] has no class 'cab'")
    assert said[4:] == ["task 5: its image cannot be read"]
    assert run.id in relook("runs", "7").stdout


def test_a_run_that_is_none_is_named(book):
    with pytest.raises(RunError, match="there is no run 'abc'"):
        relook("run", "abc")
