"""The store on a folder, a shared folder and object storage, and deleted under its users' hands."""

import multiprocessing
import os
import shutil
import threading
import time

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from ml_backend.storage.disk import make_table
from ml_backend.storage.embedding_store import EmbeddingStore, Keys, digest_of
from ml_backend.storage.standing import Standing
from ml_backend.storage.store import Store
from ml_backend.storage.tables import Tables
from tests.moto import s3_server
from tests.unit.regions import BOX
from tests.unit.test_store import labels, predictions


def test_a_store_that_is_deleted_again_and_again_fails_nobody(tmp_path):
    store = Store(tmp_path / "store")
    wrong, ended = [], threading.Event()

    def use(number):
        try:
            tasks = np.arange(10) + 100 * number
            while not ended.is_set():
                store.put_predictions(1, "c", "v1", tasks, ["a"] * 10, predictions(10))
                found, said = store.get_predictions(1, "c", "v1", tasks)
                assert len(said) == found.sum()
                store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
                assert set(store.get_labels(1, BOX).unit.tolist()) <= {30, 50}
                store.put_arrays(1, "trust", {"a": np.ones(2)})
                store.get_arrays(1, "trust")
                store.compact(1)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=use, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        time.sleep(0.3)
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    store.put_predictions(1, "c", "v1", np.arange(10), ["a"] * 10, predictions(10))
    assert store.get_predictions(1, "c", "v1", np.arange(10))[0].all()


@pytest.mark.parametrize("lost", ["data", "_versions"])
def test_a_table_that_lost_its_files_is_computed_again(tmp_path, lost):
    """``rm -r`` on a store that is written at the same time leaves some files of a table."""
    store, tasks = Store(tmp_path / "store"), np.arange(10)
    store.put_predictions(1, "c", "v1", tasks, ["a"] * 10, predictions(10))
    (table,) = (tmp_path / "store").glob("predictions-*.lance")
    shutil.rmtree(table / lost)
    (table / lost).mkdir()
    assert not store.get_predictions(1, "c", "v1", tasks)[0].any()
    store.put_predictions(1, "c", "v1", tasks, ["a"] * 10, predictions(10))
    assert store.get_predictions(1, "c", "v1", tasks)[0].all()


MADE = 60


def _make(folder, worker, barrier):
    tables = Tables(str(folder))
    rows = pa.table({"task": [worker]})
    for table in range(MADE):
        barrier.wait()
        tables.merge(f"t{table}", ["task"], rows)


def test_of_two_that_make_one_table_at_once_neither_loses_its_rows(tmp_path):
    """LanceDB lets the later write over the earlier; about one table in a hundred met that."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    makers = [spawn.Process(target=_make, args=(tmp_path, w, barrier)) for w in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
        assert maker.exitcode == 0
    tables = Tables(str(tmp_path))
    assert [tables.count(f"t{table}") for table in range(MADE)] == [4] * MADE


def test_rows_that_a_second_making_wrote_over_are_put_back(tmp_path):
    """What LanceDB leaves where two make one table at once: its later version is empty."""
    tables = lancedb.connect(tmp_path)
    rows = pa.table({"task": [1, 2]})
    tables.create_table("t", rows)
    made = make_table(_Overwriting(tables), "t", ["task"], rows.schema)
    # The last came between the making and the look at what it had written over.
    assert sorted(made.to_arrow()["task"].to_pylist()) == [1, 2, 3]


class _Overwriting:
    """A connection that finds no table when it asks, as the later of two does."""

    def __init__(self, tables):
        self._tables = tables

    def create_table(self, name, schema):
        made = self._tables.create_table(name, schema=schema, mode="overwrite")
        made.add(pa.table({"task": [3]}))
        return made

    def open_table(self, name):
        return self._tables.open_table(name)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket of a server that speaks S3's protocol, as the environment names it."""
    known = dict(os.environ)
    try:
        with s3_server(tmp_path_factory.mktemp("moto"), "relook") as url:
            os.environ.update(
                AWS_ACCESS_KEY_ID="one",
                AWS_SECRET_ACCESS_KEY="two",
                AWS_REGION="us-east-1",
                AWS_ENDPOINT=url,
                AWS_ALLOW_HTTP="true",
            )
            yield "s3://relook"
    finally:
        os.environ.clear()
        os.environ.update(known)


def test_object_storage_keeps_predictions_labels_arrays_and_vectors(bucket):
    store = Store(f"{bucket}/store")
    tasks = np.array([3, 5])
    store.put_predictions(1, "c", "v1", tasks, ["a", "b"], predictions(2))
    store.put_labels(1, BOX, tasks, labels([3, 5], [30, 50], [30, 50]))
    store.put_arrays(1, "trust", {"a": np.arange(3)})
    again = Store(f"{bucket}/store")
    assert again.get_predictions(1, "c", "v1", tasks)[0].all()
    assert again.get_labels(1, BOX, tasks).unit.tolist() == [30, 50]
    assert again.get_arrays(1, "trust")["a"].tolist() == [0, 1, 2]
    vectors = EmbeddingStore(store.tables)
    keys = Keys(tasks, ("", ""), digest_of([3, 5]))
    vectors.put(1, "c", "e1", keys, np.eye(2, dtype=np.float32))
    found, back = vectors.vectors(1, "c", "e1", keys)
    assert found.all()
    np.testing.assert_array_equal(back, np.eye(2))


def test_several_writers_of_object_storage_lose_nothing(bucket):
    def write(number):
        store = Store(f"{bucket}/shared")
        for batch in range(5):
            tasks = np.arange(10) + 1000 * number + 10 * batch
            store.put_predictions(1, "c", "v1", tasks, ["a"] * 10, predictions(10))

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = np.concatenate([np.arange(50) + 1000 * number for number in range(3)])
    assert Store(f"{bucket}/shared").get_predictions(1, "c", "v1", wanted)[0].all()


def test_a_project_that_is_gone_leaves_nothing_behind(tmp_path):
    store = Store(tmp_path)
    vectors = EmbeddingStore(store.tables)
    for project in [*range(1, 15), 101]:
        store.put_predictions(project, "c", "v1", np.arange(3), ["a"] * 3, predictions(3))
        store.put_labels(project, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
    task = np.array([1])
    keys = Keys(task, ("",), digest_of([1], ["a"]))
    vectors.put(1, "c", "v1", keys, np.ones((1, 4), dtype=np.float32))
    store.tables.drop(1)
    assert not [path.name for path in tmp_path.iterdir() if path.stem.endswith("-1")]
    assert store.get_labels(1, BOX).unit.tolist() == []
    assert len(vectors.keys(1, "c", "v1")) == 0
    for project in (11, 14, 101):
        assert store.get_labels(project, BOX).unit.tolist() == [30, 50]
    store.put_labels(1, BOX, np.array([3]), labels([3], [30], [30]))
    assert store.get_labels(1, BOX).unit.tolist() == [30]


def test_of_tasks_that_are_gone_no_row_is_kept(tmp_path):
    store = Store(tmp_path)
    tasks = np.arange(1, 6)
    store.put_predictions(1, "c", "v1", tasks, ["a"] * 5, predictions(5))
    store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
    # The last one came while the others were listed.
    store.keep_only(1, Standing(np.array([1, 2, 4]), 4))
    found, _ = store.get_predictions(1, "c", "v1", tasks)
    assert found.tolist() == [True, True, False, True, True]
    assert store.get_labels(1, BOX).unit.tolist() == [50]
