"""Embeddings in runs: what is odd or labelled in two ways is named, nothing is done twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ml_backend.demo.projects import SampleTask
from ml_backend.storage.embedding_store import EmbeddingStore
from ml_backend.storage.plane import get_plane
from ml_backend.storage.store import Store
from tests.integration.conftest import MODEL, Bench, wait_for
from tests.integration.samples import digit, right, scenes

CLEAN = 60
VERSION = "digits-classify"


@dataclass
class Project:
    id: int
    clean: list[int]
    noise: int
    twins: list[int]
    labels: list[int]


def made(bench: Bench, **params: Any) -> Project:
    tasks = [SampleTask(image, [label], None) for image, label in map(digit, range(CLEAN))]
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    image, label = digit(CLEAN)
    labels = [label, (label + 1) % 10]
    tasks += [SampleTask(noise, [3], None), *(SampleTask(image, [one], None) for one in labels)]
    project, ids = bench.project("classification", tasks, **params)
    return Project(project, ids[:CLEAN], ids[CLEAN], ids[CLEAN + 1 :], labels)


@pytest.fixture(scope="module")
def analysed(bench: Bench) -> Project:
    project = made(bench)
    run = bench.analyze(project.id)
    assert (run.state, run.errors) == ("done", {})
    return project


def vectors(bench: Bench, project: int) -> tuple[EmbeddingStore, str, Any, Any]:
    store = EmbeddingStore(Store(bench.settings.data_dir / "store").tables)
    version = bench.client.projects.get(id=project).model_version + "+features"
    keys = store.keys(project, "digit", version)
    return store, version, keys, store.vectors(project, "digit", version, keys)[1]


def said(bench: Bench, task: int) -> dict[str, Any]:
    data = bench.task(task).data
    return {key: data.get(f"relook_{key}") for key in ("flag", "kind", "reason", "priority")}


def test_what_is_odd_and_what_is_labelled_in_two_ways_is_named(bench: Bench, analysed: Project):
    odd = said(bench, analysed.noise)
    assert odd["flag"] == "needs-review"
    assert "outlier: unlike everything else labelled 3" in odd["reason"]
    for task, own, other in zip(
        analysed.twins, analysed.labels, reversed(analysed.labels), strict=True
    ):
        twin = said(bench, task)
        assert twin["flag"] == "needs-review"
        assert f"labelled {own}, its duplicates {other}" in twin["reason"]
    right = said(bench, analysed.twins[0])
    assert (right["kind"], right["priority"]) == ("duplicate", 0.5)
    # No model says what would be right: no suggestion repeats the person's label.
    assert not bench.predictions(analysed.twins[0], "relook-suggestion")


def test_nothing_else_changes(bench: Bench, analysed: Project):
    plain = made(bench, embedder="none")
    assert bench.analyze(plain.id).state == "done"
    assert [bench.flag(task) for task in analysed.clean] == [
        bench.flag(task) for task in plain.clean
    ]
    assert bench.flag(plain.twins[0]) is None
    assert len(vectors(bench, plain.id)[2]) == 0


def test_inputs_lie_on_a_plane(bench: Bench, analysed: Project):
    plane = get_plane(Store(bench.settings.data_dir / "store"), analysed.id, "digit", "inputs")
    assert plane is not None
    assert set(plane.task.tolist()) == {*analysed.clean, analysed.noise, *analysed.twins}
    assert np.isfinite([plane.x, plane.y]).all()


def test_a_label_that_is_mended_is_no_disagreeing_duplicate(bench: Bench, analysed: Project):
    (annotation,) = bench.task(analysed.twins[1]).annotations
    annotation["result"][0]["value"]["choices"] = [str(analysed.labels[0])]
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    wait_for(lambda: bench.flag(analysed.twins[1]) == "corrected", "the verdict")
    assert bench.analyze(analysed.id).state == "done"
    assert bench.flag(analysed.twins[0]) == ""


def test_a_second_run_computes_no_embedding_again(bench: Bench, analysed: Project):
    store, version, keys, before = vectors(bench, analysed.id)
    assert len(keys) == CLEAN + 3
    marked = np.roll(before, 1, axis=0)
    store.put(analysed.id, "digit", version, keys, marked.astype(np.float32))
    assert bench.analyze(analysed.id).state == "done"
    np.testing.assert_array_equal(vectors(bench, analysed.id)[3], marked)


def test_a_new_task_is_embedded_by_its_event(bench: Bench, analysed: Project):
    address = bench.task(analysed.clean[0]).data["image"]
    task = bench.client.tasks.create(project=analysed.id, data={"image": address})
    wait_for(lambda: task.id in vectors(bench, analysed.id)[2].task, "its vector")


def test_peoples_boxes_have_a_plane_of_their_own_and_boxes_that_are_gone_leave_it(bench: Bench):
    tasks = [right(scene) for scene in scenes(8, seed=71)]
    project, ids = bench.project("detection", tasks)
    assert bench.analyze(project).errors == {}
    store = Store(bench.settings.data_dir / "store")
    plane = get_plane(store, project, "label", "regions")
    assert plane is not None
    assert len(plane) == sum(len(task.label) for task in tasks)
    first = plane.task == ids[0]
    assert first.sum() == len(tasks[0].label)

    (annotation,) = bench.task(ids[0]).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"][1:])
    bench.settle(project)
    bench.analyze(project)
    after = get_plane(store, project, "label", "regions")
    assert after is not None
    assert set(after.region[after.task == ids[0]]) < set(plane.region[first])
    assert len(after) == len(plane) - 1


def test_an_embedder_that_is_gone_ends_the_run_by_name(bench: Bench):
    project = made(bench)
    # Refused when it is typed; this one was there then.
    gone = {"model": MODEL["classification"], "embedder": "timm:nowhere"}
    bench.rest(project.id)
    bench.mailbox.remember_setup(project.id, gone)
    bench.graph.start(project.id)
    run = bench.wait_for_run(project.id)
    assert run.state == "failed"
    assert "nowhere" in run.errors["run"]
