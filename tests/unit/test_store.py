import multiprocessing
import subprocess
from dataclasses import replace

import lancedb
import numpy as np
import pyarrow as pa
import pytest

import ml_backend.storage.store as module
from ml_backend.errors import StoreError
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.store import Store
from tests.unit.regions import BOX, MASK


def predictions(count: int, seed: int = 0, regions: int = 3, classes: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    rows = count * regions
    return Predictions(
        size=random.integers(1, 4000, (count, 2)).astype(np.int32),
        item=np.repeat(np.arange(count), regions).astype(np.int64),
        label=random.integers(0, 9, rows).astype(np.int32),
        score=random.random(rows).astype(np.float32),
        outline=Outlines.of_rows([random.random(n % 4 + 1) for n in range(rows)]),
        probs=random.random((count, classes)).astype(np.float32),
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_predictions_come_back_in_the_order_asked_for(store):
    said = predictions(3)
    store.put_predictions(1, "it's", "v1", np.array([5, 3, 9]), ["a", "b", "c"], said)
    found, back = store.get_predictions(1, "it's", "v1", np.array([9, 4, 5]))
    np.testing.assert_array_equal(found, [True, False, True])
    np.testing.assert_array_equal(back.size, said.size[[2, 0]])
    expected = said.outline.take(np.array([6, 7, 8, 0, 1, 2]))
    np.testing.assert_array_equal(back.outline.offsets, expected.offsets)
    np.testing.assert_array_equal(back.outline.values, expected.values)
    np.testing.assert_array_equal(back.item, [0, 0, 0, 1, 1, 1])


def test_class_probabilities_come_back(store):
    said = predictions(4, regions=0, classes=10)
    store.put_predictions(1, "c", "v1", np.arange(4), ["x"] * 4, said)
    _, back = store.get_predictions(1, "c", "v1", np.arange(4))
    np.testing.assert_array_equal(back.probs, said.probs)


@pytest.mark.parametrize(
    ("project", "control", "version", "source"),
    [(2, "c", "v1", "a"), (1, "d", "v1", "a"), (1, "c", "v2", "a"), (1, "c", "v1", "b")],
)
def test_another_project_tag_model_or_image_is_not_found(store, project, control, version, source):
    store.put_predictions(1, "c", "v1", np.array([5]), ["a"], predictions(1))
    found, back = store.get_predictions(project, control, version, np.array([5]), [source])
    assert not found.any()
    assert len(back) == 0


def test_a_newer_prediction_replaces_the_older(store):
    for version in ("v1", "v2"):
        store.put_predictions(1, "c", version, np.array([5]), ["a"], predictions(1))
    assert not store.get_predictions(1, "c", "v1", np.array([5]))[0].any()
    assert store.get_predictions(1, "c", "v2", np.array([5]))[0].all()


def labels(task, unit, region_unit) -> StoredLabels:
    count = len(region_unit)
    return StoredLabels(
        np.array(task),
        np.array(unit),
        np.array(region_unit),
        np.arange(count, dtype=np.int32),
        Outlines.of_rows([np.arange(n + 1) for n in range(count)]),
        np.array(task),
        np.array(unit) + 1000,
        np.array(unit) % 2 > 0,
        np.array([unit, task], dtype=np.int32).T,
    )


def test_labels_keep_each_region_with_its_unit(store):
    given = labels([3, 5, 3], [30, 50, 31], [31, 30, 50, 31])
    store.put_labels(1, BOX, np.array([3, 5]), given)
    back = store.get_labels(1, BOX)
    assert dict(zip(back.unit.tolist(), back.task.tolist(), strict=True)) == {30: 3, 31: 3, 50: 5}
    by_label = np.argsort(back.label)
    np.testing.assert_array_equal(back.region_unit[by_label], given.region_unit)
    np.testing.assert_array_equal(back.outline.take(by_label).values, given.outline.values)
    np.testing.assert_array_equal(back.size, np.stack([back.unit, back.task], axis=1))


def test_a_task_that_lost_its_labels_has_none(store):
    store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
    store.put_labels(1, BOX, np.array([3, 5]), labels([5], [50], [50]))
    assert store.get_labels(1, BOX).unit.tolist() == [50]
    assert store.labels_kept(1, BOX, np.array([3, 4, 5])).tolist() == [True, False, True]
    assert not store.labels_kept(2, BOX, np.array([3])).any()


def test_what_the_model_gave_is_kept_and_told_from_what_people_gave(store):
    store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5, 3], [30, 50, 31], [31, 30, 50, 31]))
    back = store.get_labels(1, BOX, np.array([3, 5]))
    assert dict(zip(back.unit.tolist(), back.approved.tolist(), strict=True)) == {
        30: False,
        31: True,
        50: False,
    }
    peoples = back.of_people()
    assert sorted(peoples.unit.tolist()) == sorted(peoples.region_unit.tolist()) == [30, 50]
    assert set(peoples.held.tolist()) == {1030, 1031, 1050}


@pytest.mark.parametrize(
    "tag",
    [
        replace(BOX, labels=("new", *BOX.labels)),
        replace(BOX, labels=BOX.labels[::-1]),
        replace(BOX, labels=BOX.labels[:1]),
        replace(MASK, name=BOX.name),
        MASK,
    ],
)
def test_labels_are_not_read_as_others_after_a_change_of_the_config(store, tag):
    """They are kept as numbers, which another list of labels gives another meaning, or none."""
    store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
    assert store.get_labels(1, tag).unit.tolist() == []
    # Which task holds which annotation depends on no label.
    assert store.tasks_holding(1, [1050]).tolist() == [5]
    store.put_labels(1, tag, np.array([5]), labels([5], [50], [50]))
    assert store.get_labels(1, tag).unit.tolist() == [50]


def test_labels_of_some_tasks_only():
    chosen = labels([3, 5, 3], [30, 50, 31], [31, 30, 50, 31]).of(np.array([3]))
    assert chosen.unit.tolist() == [30, 31]
    assert chosen.region_unit.tolist() == [31, 30, 31]
    assert set(chosen.held_task.tolist()) == {3}


def test_annotations_that_are_not_current_are_remembered_too(store):
    store.put_labels(1, BOX, np.array([3, 5]), labels([3, 5], [30, 50], [30, 50]))
    back = store.get_labels(1, BOX)
    assert dict(zip(back.held.tolist(), back.held_task.tolist(), strict=True)) == {1030: 3, 1050: 5}


def test_compacting_loses_nothing(store):
    for task in range(20):
        store.put_predictions(1, "c", "v1", np.array([task]), ["a"], predictions(1))
    store.compact(1)
    store.compact(2)
    assert store.get_predictions(1, "c", "v1", np.arange(20))[0].all()


def test_many_small_writes_leave_few_files(store, tmp_path):
    for task in range(200):
        store.put_labels(1, BOX, np.array([task]), labels([task], [task], [task]))
    database = lancedb.connect(tmp_path)
    (name,) = database.list_tables().tables
    assert database.open_table(name).stats()["fragment_stats"]["num_fragments"] <= 64
    assert len(store.get_labels(1, BOX).unit) == 200


def test_arrays_are_replaced_whole(store):
    store.put_arrays(1, "trust", {"a": np.ones(2), "b": np.zeros(1)})
    store.put_arrays(1, "trust", {"a": np.arange(3)})
    assert list(store.get_arrays(1, "trust")) == ["a"]


def _write(folder, worker):
    store = Store(folder)
    for batch in range(5):
        tasks = np.arange(100) + 1000 * worker + 100 * batch
        store.put_predictions(1, "c", "v1", tasks, ["a"] * 100, predictions(100, worker))


def test_several_processes_write_at_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(tmp_path, worker)) for worker in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    tasks = np.concatenate([np.arange(500) + 1000 * worker for worker in range(3)])
    assert Store(tmp_path).get_predictions(1, "c", "v1", tasks)[0].all()


def test_what_a_relook_with_other_columns_kept_is_computed_again(store, monkeypatch):
    store.put_predictions(1, "c", "v1", np.array([5]), ["a"], predictions(1))
    monkeypatch.setattr(module, "_PREDICTIONS", module._PREDICTIONS.append(new_column()))
    found, _ = store.get_predictions(1, "c", "v1", np.array([5]))
    assert not found.any()


def new_column():
    return pa.field("new", pa.int64())


@pytest.fixture
def small_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "relook-test", str(tmp_path)]
    made = subprocess.run(mount, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"needs the right to mount a small disk: {made.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill(path):
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 1024)
            except OSError:
                return path


@pytest.mark.parametrize("begun", [False, True], ids=["first table", "older rows"])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(small_disk, begun):
    store, arrays = Store(small_disk / "store"), {"a": np.arange(50_000)}
    old, new = predictions(2, seed=1), predictions(2, seed=2, regions=2000)
    if begun:
        store.put_predictions(1, "c", "v1", np.arange(2), ["a", "b"], old)
        store.put_arrays(1, "x", {"a": np.arange(3)})
    ballast = fill(small_disk / "ballast")
    for write in (
        lambda: store.put_predictions(1, "c", "v1", np.arange(2), ["a", "b"], new),
        lambda: store.put_arrays(1, "x", arrays),
    ):
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            write()
    found, back = store.get_predictions(1, "c", "v1", np.arange(2))
    assert found.tolist() == [begun] * 2
    assert back.label.tolist() == (old.label.tolist() if begun else [])
    kept = store.get_arrays(1, "x")
    assert kept is None or kept["a"].tolist() == [0, 1, 2]
    assert not list(small_disk.rglob("*.part"))
    ballast.unlink()
    store.put_predictions(1, "c", "v1", np.arange(2), ["a", "b"], new)
    store.put_arrays(1, "x", arrays)
    assert store.get_predictions(1, "c", "v1", np.arange(2))[1].label.tolist() == new.label.tolist()
    assert len(store.get_arrays(1, "x")["a"]) == 50_000


def test_labels_are_read_in_one_order_however_they_were_written(store):
    """What is learnt from them depends on their order."""
    for task in (5, 3, 4):
        store.put_labels(1, BOX, np.array([task]), labels([task], [10 * task], [10 * task]))
    for tasks in (None, np.array([3, 4, 5])):
        back = store.get_labels(1, BOX, tasks)
        assert (back.task.tolist(), back.region_unit.tolist()) == ([3, 4, 5], [30, 40, 50])
