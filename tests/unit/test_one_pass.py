"""A model that has been asked about an image has given its features too."""

import shutil

import numpy as np
import pytest

from ml_backend.embedders.embedding import embed_missing
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.predictors.yolo import YoloPredictor
from ml_backend.scoring.pixels import page_labels
from ml_backend.storage.standing import Standing
from tests import made_project
from tests.made_project import PROJECT, TASKS
from tests.unit.test_embedders import _save_onnx

#: Of the last task's image nothing is there.
HERE = np.array(TASKS[:-1], dtype=np.int64)


@pytest.fixture(scope="module")
def studio():
    made = made_project.LabelStudioWithOneProject()
    with made.listening():
        yield made


@pytest.fixture
def services(studio, tmp_path):
    with made_project.made_services(studio, tmp_path) as services:
        yield services


def counted(monkeypatch, owner, name):
    """Note how many items each call is given."""
    calls, real = [], getattr(owner, name)

    def count(self, items, *rest):
        calls.append(len(items))
        return real(self, items, *rest)

    monkeypatch.setattr(owner, name, count)
    return calls


def wanted_of(opened, page, predicted):
    (table,), (labels,) = predicted.controls, page.annotations.labels
    return opened.vectors.wanted(table.control, page.inputs, page_labels(page, table, labels))


def test_each_image_is_decoded_and_goes_through_the_model_once(services, monkeypatch):
    passes = counted(monkeypatch, YoloPredictor, "predict")
    decoded = counted(monkeypatch, type(services.media), "decode_all")
    work = ProjectWork.open(services, PROJECT)
    errors = work.predict(HERE, lambda: None)
    assert errors == {}
    assert (sum(passes), sum(decoded)) == (len(HERE), len(HERE))


def test_the_vectors_are_those_that_the_embedder_alone_would_have_made(services, tmp_path):
    work = ProjectWork.open(services, PROJECT)
    ((page, _),) = work._pages(HERE)
    predicted, _ = work._predict(page)
    (control,) = work.opened.controls
    embedder = work.opened.vectors.embedder(control)
    wanted = wanted_of(work.opened, page, predicted)
    assert not wanted.whole.all()
    asked = PROJECT, control.name, embedder.version, wanted.keys
    found, kept = services.embeddings.vectors(*asked)
    assert found.all()

    def read(rows):
        return services.prediction.read(control, page.inputs, rows.tolist())

    services.embeddings.forget(PROJECT, control.name, wanted.keys)
    embed_missing(services.embeddings, PROJECT, control.name, embedder, wanted, read)
    np.testing.assert_allclose(kept, services.embeddings.vectors(*asked)[1], atol=2e-3)


def test_an_embedder_of_its_own_takes_the_images_that_are_in_memory(studio, tmp_path, monkeypatch):
    shutil.copytree(made_project.MODELS, tmp_path / "models")
    _save_onnx(tmp_path / "models" / "mean.onnx", ["N", 3, 8, 8])
    with made_project.made_services(studio, tmp_path, tmp_path / "models") as services:
        services.mailbox.remember_setup(PROJECT, {"embedder": "mean.onnx"})
        decoded = counted(monkeypatch, type(services.media), "decode_all")
        work = ProjectWork.open(services, PROJECT)
        assert work.predict(HERE, lambda: None) == {}
        (control,) = work.opened.controls
        assert set(services.embeddings.embedded(PROJECT, control.name)) == set(HERE.tolist())
    assert sum(decoded) == len(HERE)


def test_tasks_deleted_at_the_end_of_a_project_leave_the_store(studio, services):
    ProjectWork.open(services, PROJECT).score(HERE, lambda: None)
    left = HERE[:-2]
    gone = {int(task): studio.tasks.pop(int(task)) for task in HERE[-2:]}
    try:
        work = ProjectWork.open(services, PROJECT)
        work.tidy(left)
        work.lay_out(left)
        (control,) = work.opened.controls
        version = work.opened.vectors.version(control)
        kept = services.embeddings.keys(PROJECT, control.name, version)
        assert set(kept.task) == set(left.tolist())
        assert services.page.tasks(PROJECT)["task"].to_pylist() == left.tolist()
        assert services.looks.last(PROJECT) == left.max()
    finally:
        studio.tasks.update(gone)


def test_a_region_that_is_drawn_just_now_keeps_its_vector(services, monkeypatch):
    """Another worker has embedded it and writes its labels down a moment later."""
    ProjectWork.open(services, PROJECT).score(HERE, lambda: None)
    opened = ProjectWork.open(services, PROJECT).opened
    (control,) = opened.controls
    embedder = opened.vectors.embedder(control)
    before = services.embeddings.keys(PROJECT, control.name, embedder.version)
    assert not before.whole.all()
    known, asked = services.store.get_labels, []

    def late(project, control, tasks=None):
        asked.append(tasks)
        return known(project, control, tasks[:0] if len(asked) == 1 else tasks)

    monkeypatch.setattr(services.store, "get_labels", late)
    standing = Standing(HERE, int(HERE.max()))
    opened.vectors.current(control, embedder, standing)
    assert len(asked) > 1
    after = services.embeddings.keys(PROJECT, control.name, embedder.version)
    assert after.digest.tolist() == before.digest.tolist()
    services.store.put_labels(PROJECT, control, HERE, known(PROJECT, control, HERE[:0]))
    assert opened.vectors.current(control, embedder, standing).whole.all()
    assert services.embeddings.keys(PROJECT, control.name, embedder.version).whole.all()
