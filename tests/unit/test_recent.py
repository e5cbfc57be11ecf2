import threading

import numpy as np
import pytest

from ml_backend.outlines import Outlines
from ml_backend.prediction import recent
from ml_backend.prediction.recent import RecentPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.storage.store import Store


def predictions(values):
    """One box a task, at x = the task's value."""
    count = len(values)
    box = np.zeros((count, 5))
    box[:, 0] = values
    return Predictions(
        size=np.full((count, 2), 9, dtype=np.int32),
        item=np.arange(count),
        label=np.zeros(count, dtype=np.int32),
        score=np.ones(count, dtype=np.float32),
        outline=Outlines.of_table(box),
        probs=np.empty((count, 0), dtype=np.float32),
    )


def put(kept, tasks, values, sources=None, version="m@1"):
    sources = [f"/{task}" for task in tasks] if sources is None else sources
    kept.put_predictions(1, "label", version, np.array(tasks), sources, predictions(values))


def get(kept, tasks, sources=None, version="m@1"):
    """The values found, None where there is none."""
    tasks = np.array(tasks, dtype=np.int64)
    found, said = kept.get_predictions(1, "label", version, tasks, sources)
    values = iter(said.outline.table(5)[:, 0].tolist())
    np.testing.assert_array_equal(said.item, np.arange(len(said)))
    return [next(values) if one else None for one in found]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def kept(store):
    return RecentPredictions(store, delay=0.05)


def test_what_was_put_is_there_at_once_and_soon_on_disk(kept, store):
    put(kept, [1, 2, 3], [10, 20, 30])
    put(kept, [4], [40])
    assert get(kept, [4, 2, 9, 1]) == [40, 20, None, 10]
    kept.flush()
    assert get(store, [4, 2, 9, 1]) == [40, 20, None, 10]
    assert get(kept, [4, 2, 9, 1]) == [40, 20, None, 10]


def test_another_source_or_version_is_not_it(kept):
    put(kept, [1, 2], [10, 20])
    assert get(kept, [1, 2], ["/1", "/other"]) == [10, None]
    assert get(kept, [1, 2], version="m@2") == [None, None]
    assert get(kept, []) == []


def test_the_last_word_counts(kept, store):
    put(kept, [1, 2], [10, 20])
    put(kept, [2, 3, 2], [21, 30, 22])
    assert get(kept, [1, 2, 3]) == [10, 22, 30]
    kept.flush()
    assert get(store, [1, 2, 3]) == [10, 22, 30]


def test_memory_is_bounded_and_the_disk_has_all(kept, store, monkeypatch):
    monkeypatch.setattr(recent, "_KEPT_TASKS", 4)
    for first in range(0, 12, 2):
        put(kept, [first, first + 1, first], [first, first + 1, first])
    assert [value for value in get(kept, range(12)) if value is not None] == [10, 11]
    assert len(kept._places) == 2
    kept.flush()
    assert get(store, range(12)) == list(range(12))


def test_many_small_puts_are_few_writes(kept, store, monkeypatch):
    writes = []
    written = store.put_predictions
    monkeypatch.setattr(store, "put_predictions", lambda *all_: (writes.append(1), written(*all_)))
    callers = [threading.Thread(target=put, args=(kept, [n], [n])) for n in range(40)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    kept.flush()
    assert len(writes) < 10
    assert get(store, range(40)) == list(range(40))


def test_a_disk_that_refuses_stops_nobody(tmp_path, caplog):
    kept = RecentPredictions(Store(tmp_path / "store"), delay=0.01)
    (tmp_path / "store").rmdir() if (tmp_path / "store").exists() else None
    (tmp_path / "store").write_text("a file where the folder should be")
    put(kept, [1], [10])
    kept.flush()
    assert get(kept, [1]) == [10]
    assert "predictions of 1 tasks were not written" in caplog.text


def test_flushing_does_not_wait_for_company(store):
    kept = RecentPredictions(store, delay=60)
    put(kept, [1], [10])
    kept.flush()
    assert get(store, [1]) == [10]
    put(kept, [2], [20])
    kept.flush()
    assert get(store, [2]) == [20]
