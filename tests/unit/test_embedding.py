import multiprocessing
import signal
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import ml_backend.storage.embedding_store as store_module
from ml_backend.embedders.base import unit
from ml_backend.embedders.embedding import Wanted, embed_missing, places, predict_and_embed
from ml_backend.embedders.images import ImageEmbedder, Look
from ml_backend.errors import MediaError, ModelError
from ml_backend.storage.embedding_store import EmbeddingStore, Keys, digest_of
from ml_backend.storage.tables import Tables

LOOK = Look(8, 8, (0.0,) * 3, (1.0,) * 3)
BOX = np.array([[0, 0, 10, 10], [5, 5, 20, 20], [0, 8, 30, 30]], dtype=np.float32)
ITEM = np.array([0, 0, 1])


def pixels(batch):
    """An embedder with nothing hidden: the stretched image itself."""
    return batch.reshape(len(batch), -1)


def image(task):
    return np.random.default_rng(task).integers(1, 256, (32, 32, 3), dtype=np.uint8)


class Reader:
    """Reads made-up images, and notes of which tasks."""

    def __init__(self, tasks, broken=()):
        self.tasks, self.broken, self.read = tasks, broken, []

    def __call__(self, rows):
        some = self.tasks[rows].tolist()
        self.read += some
        return [
            MediaError(f"task {task}: no image") if task in self.broken else image(task)
            for task in some
        ]


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(Tables(str(tmp_path)))


def embedder(version="pixels@1"):
    return ImageEmbedder(version, LOOK, pixels)


def wanted(tasks, box=BOX, item=ITEM, sources=None):
    sources = sources or [f"/data/{task}.png" for task in tasks]
    return Wanted.of_regions(np.array(tasks), sources, item, box)


def run(store, want, model=None, broken=(), project=1, control="c"):
    reader, model = Reader(want.task, broken), model or embedder()
    errors = embed_missing(store, project, control, model, want, reader)
    found, vector = store.vectors(project, control, model.version, want.keys)
    return SimpleNamespace(errors=errors, found=found, vector=vector), reader.read


def test_vectors_are_aligned_with_what_was_wanted(store):
    want = wanted([7, 3])
    done, _ = run(store, want)
    model = embedder()
    images = [image(7), image(3)]
    expected = np.concatenate([model.embed(images), model.embed_patches(images, ITEM, BOX)])
    assert done.found.all()
    assert done.errors == {}
    np.testing.assert_allclose(done.vector, expected, atol=1e-3)


def test_float16_keeps_a_unit_vector_to_three_digits(store):
    vectors = unit(np.random.default_rng(0).standard_normal((500, 448)).astype(np.float32))
    task = np.arange(500)
    keys = Keys(task, ("",) * 500, digest_of(task.tolist()))
    store.put(1, "c", "v", keys, vectors)
    found, back = store.vectors(1, "c", "v", keys)
    assert found.all()
    np.testing.assert_array_equal(back, vectors.astype(np.float16))
    back = back.astype(np.float32)
    assert (back * vectors).sum(axis=1).min() > 0.9999
    assert np.abs(back @ back.T - vectors @ vectors.T).max() < 5e-4


def test_a_second_time_nothing_is_read(store):
    first, _ = run(store, wanted([7, 3]))
    again, read = run(store, wanted([7, 3]))
    assert read == []
    np.testing.assert_array_equal(first.vector, again.vector)


def test_a_changed_image_is_computed_again_and_no_other(store):
    run(store, wanted([7, 3]))
    _, read = run(store, wanted([7, 3], sources=["/data/7.png", "/data/new.png"]))
    assert read == [3]


def test_a_changed_region_is_computed_again_and_no_other(store, monkeypatch):
    run(store, wanted([7, 3]))
    moved = BOX.copy()
    moved[1, 2] += 1
    cut = []
    model = embedder()
    monkeypatch.setattr(model, "embed", lambda images: _count(images, cut, model))
    done, read = run(store, wanted([7, 3], moved), model)
    assert read == [7]
    assert [len(images) for images in cut] == [1]
    assert done.found.all()


def _count(images, cut, model):
    cut.append(images)
    return ImageEmbedder.embed(model, images)


def test_digits_that_the_editor_rounds_change_nothing(store):
    run(store, wanted([7, 3]))
    _, read = run(store, wanted([7, 3], BOX + np.float32(1e-3)))
    assert read == []


def test_a_changed_model_is_computed_again(store):
    run(store, wanted([7, 3]))
    _, read = run(store, wanted([7, 3]), embedder("pixels@2"))
    assert read == [7, 3]


def test_a_longer_vector_of_a_new_model_is_found_and_the_old_one_pruned(store):
    want = wanted([7, 3])
    run(store, want)
    other = ImageEmbedder("half@1", Look(4, 4), pixels)
    done, _ = run(store, want, other)
    assert done.vector.shape == (5, 48)
    store.keep_version(1, "c", "half@1")
    assert not store.known(1, "c", "pixels@1", want.keys).any()
    assert store.known(1, "c", "half@1", want.keys).all()


def test_what_is_gone_is_forgotten_and_nothing_else(store):
    want = wanted([7, 3])
    run(store, want)
    run(store, want, control="other")
    store.forget(1, "c", want.keys.take(np.array([2, 4])))
    assert store.known(1, "c", "pixels@1", want.keys).tolist() == [True, True, False, True, False]
    assert store.known(1, "other", "pixels@1", want.keys).all()


def test_copies_of_a_region_share_their_vector(store):
    done, _ = run(store, wanted([7, 3], np.repeat(BOX[:1], 3, axis=0), np.zeros(3, dtype=int)))
    np.testing.assert_array_equal(done.vector[2], done.vector[4])
    assert done.found.all()


def test_a_broken_image_is_named_and_stops_no_other(store):
    done, _ = run(store, wanted([7, 3]), broken=[7])
    assert done.errors == {7: "task 7: no image"}
    assert done.found.tolist() == [False, True, False, False, True]
    assert not done.vector[0].any()
    _, read = run(store, wanted([7, 3]))
    assert read == [7]


def test_an_image_the_model_cannot_take_stops_no_other(store):
    bad = image(7)

    def picky(batch):
        if (batch == LOOK.prepare([bad])[0]).all(axis=(1, 2, 3)).any():
            raise RuntimeError("no")
        return pixels(batch)

    done, _ = run(store, wanted([3, 7]), ImageEmbedder("picky@1", LOOK, picky))
    assert list(done.errors) == [7]
    assert "picky@1 failed" in done.errors[7]
    assert done.found.tolist() == [True, False, True, True, False]


def test_a_text_model_refuses_regions(store):
    model = embedder()
    model.reads = "text"
    with pytest.raises(ModelError, match="reads texts"):
        run(store, wanted([7, 3]), model)


def test_nothing_wanted_gives_nothing(store):
    empty = Wanted.inputs(np.empty(0, dtype=np.int64), [])
    done, read = run(store, empty)
    assert (done.errors, read) == ({}, [])


def test_one_pass_keeps_what_a_later_call_wants(store):
    class Shared:
        version, size = "pixels@1", 192

        def predict_and_embed(self, images, geometry, patches):
            model = embedder()
            return (
                geometry,
                model.embed(images),
                model.embed_patches(images, patches.image_row, patches.box),
            )

    want = wanted([7, 3, 5])
    some = want.of(np.array([1, 0]))
    assert some.task.tolist() == [3, 7]
    said = predict_and_embed(store, 1, "c", Shared(), "box", some, [image(3), image(7)])
    assert said == "box"
    done, read = run(store, want)
    assert read == [5]
    images = [image(7), image(3), image(5)]
    model = embedder()
    expected = np.concatenate([model.embed(images), model.embed_patches(images, ITEM, BOX)])
    np.testing.assert_allclose(done.vector, expected, atol=1e-3)


def _cut_off(folder, tasks, sender):
    want = Wanted.inputs(tasks, [str(task) for task in tasks])

    def read(rows):
        sender.send(len(rows))
        if rows[0] >= 64:
            signal.pause()
        return [image(task) for task in tasks[rows].tolist()]

    embed_missing(EmbeddingStore(Tables(folder)), 1, "c", embedder(), want, read)


def test_a_run_that_is_killed_goes_on_where_it_stopped(tmp_path):
    tasks = np.arange(150)
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    worker = spawn.Process(target=_cut_off, args=(str(tmp_path), tasks, sender))
    worker.start()
    assert [receiver.recv() for _ in range(3)] == [32, 32, 32]
    worker.kill()
    worker.join()
    want = Wanted.inputs(tasks, [str(task) for task in tasks])
    done, read = run(EmbeddingStore(Tables(str(tmp_path))), want)
    assert read == list(range(64, 150))
    assert done.found.all()
    np.testing.assert_allclose(done.vector, embedder().embed([image(t) for t in tasks]), atol=1e-3)


def _write(folder, worker):
    store = EmbeddingStore(Tables(folder))
    for batch in range(5):
        task = np.arange(100) + 1000 * worker + 100 * batch
        keys = Keys(task, ("",) * 100, digest_of(task.tolist()))
        store.put(1, "c", "v", keys, np.full((100, 16), worker, dtype=np.float32))


def test_several_processes_write_at_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(str(tmp_path), worker)) for worker in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    task = np.concatenate([np.arange(500) + 1000 * worker for worker in range(3)])
    store = EmbeddingStore(Tables(str(tmp_path)))
    store.compact(1)
    found, vectors = store.vectors(1, "c", "v", Keys(task, (), digest_of(task.tolist())))
    assert found.all()
    np.testing.assert_array_equal(vectors[:, 0], np.repeat(np.arange(3), 500))


@pytest.mark.parametrize(("project", "control"), [(2, "c"), (11, "c"), (1, "it's")])
def test_another_project_or_tag_is_not_found(store, project, control):
    want = wanted([7, 3])
    run(store, want)
    assert not store.known(project, control, "pixels@1", want.keys).any()


def test_what_a_relook_with_other_columns_kept_is_not_found(store, monkeypatch):
    run(store, wanted([7, 3]))
    later = store_module._COLUMNS.append(pa.field("new", pa.int64()))
    monkeypatch.setattr(store_module, "_COLUMNS", later)
    assert not store.known(1, "c", "pixels@1", wanted([7, 3]).keys).any()


def test_a_version_is_read_whole_in_the_order_of_tasks_and_regions(store):
    want = wanted([7, 3])
    run(store, want)
    run(store, wanted([9, 10]), embedder("other@1"))
    run(store, wanted([8, 11]), control="d")
    keys = store.keys(1, "c", "pixels@1")
    found, vectors = store.vectors(1, "c", "pixels@1", keys)
    assert found.all()
    order = np.lexsort((np.array(want.keys.region), want.keys.task))
    assert keys.task.tolist() == want.keys.task[order].tolist()
    assert keys.region == tuple(np.array(want.keys.region)[order].tolist())
    assert keys.digest.tolist() == want.keys.digest[order].tolist()
    there = store.vectors(1, "c", "pixels@1", want.keys)[1]
    np.testing.assert_array_equal(vectors, there[order])
    assert vectors.dtype == np.float16
    assert keys.region[0] == ""
    assert set(keys.region) - {""} == set(places(BOX))


def test_what_was_never_embedded_is_read_as_nothing(store):
    keys = store.keys(1, "c", "pixels@1")
    assert (len(keys), store.vectors(1, "c", "pixels@1", keys)[1].shape) == (0, (0, 0))
