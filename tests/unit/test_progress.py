"""What a terminal shows of an action while it goes on."""

import io

from rich.console import Console

from ml_backend.commands import progress


def state(name, said="", ended=0.0):
    return {"state": name, "said": said, "ended": ended, "done": 0, "total": 0}


def test_who_waits_for_a_worker_is_told_once_and_so_is_what_is_tried_again(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "_POLL_S", 0.0)
    away = "Label Studio cannot be reached. Tried again."
    told = [state("queued")] * 3 + [state("doing", away)] * 2 + [state("done", "1 task", 1.0)]
    said = io.StringIO()
    ended = progress.follow_action(lambda: told.pop(0), Console(file=said, width=200))
    assert (ended["said"], told) == ("1 task", [])
    lines = said.getvalue()
    assert lines.count("`relook worker` runs") == lines.count(away) == 1
