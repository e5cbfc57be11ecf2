"""What neighbours say of inputs, from the whole project's vectors to a page's findings."""

import subprocess
import sys

import numpy as np
import pytest

from analysis.findings import NONE
from analysis.neighbors import knn
from ml_backend.labelstudio.config import parse_config
from ml_backend.outlines import Outlines
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.scoring import choices
from ml_backend.scoring.columns import Units
from ml_backend.scoring.nearby import Nearby
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.store import Store

CLASSES, EACH, SIZE = 3, 30, 16
CONFIG = (
    '<View><Image name="i" value="$i"/><Choices name="c" toName="i" choice="{}">'
    '<Choice value="cat"/><Choice value="dog"/><Choice value="cow"/></Choices></View>'
)


def clusters(seed=0):
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(CLASSES), EACH).astype(np.int32)
    vectors = np.eye(SIZE)[label] + random.normal(0, 0.05, (len(label), SIZE))
    return vectors, label


def learn(vectors, given, known=(True,) * CLASSES):
    task = np.arange(len(vectors)) + 100
    return Nearby.learn(task, task * 7, knn(vectors, 14), given, np.array(known))


def units(given, probs, nearby, *, choice="single"):
    """One unit a task, each with one choice."""
    (control,) = parse_config(CONFIG.format(choice)).controls
    count = len(given)
    nothing = Outlines.of_rows([[] for _ in range(count)])
    predictions = Predictions(
        np.zeros((count, 2), dtype=np.int32),
        np.empty(0, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.float32),
        Outlines.of_rows([]),
        np.asarray(probs, dtype=np.float32),
    )
    every = np.ones(count, dtype=np.bool_)
    table = ControlPredictions(control, "m", False, every, predictions, np.ones(3, dtype=np.bool_))
    unit = np.arange(count, dtype=np.int64) + 1000
    task = np.arange(count, dtype=np.int64) + 100
    empty = np.empty(0, dtype=np.int64)
    given = given.astype(np.int32)
    size = np.zeros((count, 2), dtype=np.int32)
    labels = StoredLabels(task, unit, unit, given, nothing, empty, empty, task < 0, size)
    return Units.of(table, labels, np.arange(count), nearby)


def sure(label):
    """What a model says that is right and nearly certain."""
    return np.where(np.eye(CLASSES)[label] > 0, 0.98, 0.01)


def scored(subject, calibration=None):
    return choices.score(subject, np.zeros(len(subject), dtype=np.int64), calibration)


def test_clean_clusters_get_no_remark():
    vectors, given = clusters()
    assert len(learn(vectors, given).remarks(given)) == 0


def test_one_thing_of_another_kind_is_an_outlier_and_nothing_else_is():
    vectors, given = clusters()
    vectors[5] = -np.ones(SIZE)
    found = learn(vectors, given).remarks(given)
    assert found.task.tolist() == [5]
    assert found.kind.tolist() == ["outlier"]
    assert found.score[0] >= 0.95


def test_among_few_inputs_nothing_is_an_outlier():
    vectors, given = clusters()
    few = np.arange(0, len(given), 4)
    vectors[few[0]] = -np.ones(SIZE)
    assert len(learn(vectors[few], given[few]).remarks(given[few])) == 0


def test_duplicates_with_two_labels_are_both_named_until_a_label_changes():
    vectors, given = clusters()
    vectors[40] = vectors[10]
    nearby = learn(vectors, given)
    found = nearby.remarks(given)
    assert sorted(zip(found.task.tolist(), found.label.tolist(), strict=True)) == [(10, 1), (40, 0)]
    assert set(found.kind.tolist()) == {"duplicate"}
    mended = given.copy()
    mended[40] = 0
    assert nearby.remarks(mended).task.tolist() == [10]
    assert 10 not in nearby.remarks(np.where(np.arange(len(given)) == 10, NONE, given)).task


def test_duplicates_that_agree_are_no_finding():
    vectors, given = clusters()
    vectors[11] = vectors[10]
    assert len(learn(vectors, given).remarks(given)) == 0


def test_what_is_kept_is_found_again_by_what_the_input_was(tmp_path):
    vectors, given = clusters()
    vectors[5] = -np.ones(SIZE)
    nearby = learn(vectors, given)
    store = Store(tmp_path)
    store.put_arrays(1, "n", nearby.to_arrays())
    kept = Nearby.from_arrays(store.get_arrays(1, "n") or {})
    page = np.array([105, 999, 103, 104])
    digest = page * 7
    # Task 104 has another image by now.
    digest[3] += 1
    found = kept.of(page, digest)
    assert found.task.tolist() == page.tolist()
    assert found.known.tolist() == [True, False, True, False]
    assert found.remarks(np.zeros(4, dtype=np.int32)).task.tolist() == [0]
    votes = nearby.votes.shares.toarray()
    expected = np.stack([votes[5], np.zeros(3), votes[3], np.zeros(3)])
    np.testing.assert_array_equal(found.votes.shares.toarray(), expected)
    np.testing.assert_array_equal(nearby.of_tasks(page).known, [True, False, True, True])


def test_nothing_known_is_nothing_said():
    vectors, given = clusters()
    none = learn(vectors, given).take(np.empty(0, dtype=np.int64))
    found = none.of(np.array([1, 2]), np.array([1, 2]))
    assert not found.known.any()
    assert len(found.remarks(np.zeros(2, dtype=np.int32))) == 0


def test_a_label_that_the_model_does_not_know_does_not_vote():
    vectors, given = clusters()
    votes = learn(vectors, given, (True, False, True)).votes.shares.toarray()
    assert not votes[:, 1].any()
    assert votes[:EACH, 0].max() > 0.9


def test_remarks_stand_beside_the_models_findings_without_a_fix():
    vectors, given = clusters()
    vectors[5], vectors[40] = -np.ones(SIZE), vectors[10]
    wrong = given.copy()
    wrong[70] = 0
    subject = units(wrong, sure(given), learn(vectors, wrong))
    done = scored(subject, choices.fit(subject))
    flagged = np.flatnonzero(done.priority >= 0.5)
    assert flagged.tolist() == [5, 10, 40, 70]
    said = dict(zip(done.findings.task.tolist(), done.reason, strict=True))
    assert said[5] == "outlier: unlike everything else labelled cat"
    assert said[10] == "labelled cat, its duplicates dog"
    assert said[40] == "labelled dog, its duplicates cat"
    assert said[70].startswith("labelled cat, model says cow")
    fixes = dict(zip(done.findings.task.tolist(), done.fix, strict=True))
    assert (fixes[5], fixes[10], fixes[40]) == (None, None, None)
    assert fixes[70] is not None
    assert fixes[70].label == 2
    # The others are as they are without neighbours.
    alone = units(wrong, sure(given), None)
    plain = scored(alone, choices.fit(alone)).priority
    assert np.flatnonzero(plain >= 0.5).tolist() == [70]


def test_an_unsure_model_is_helped_by_the_neighbours_labels():
    random = np.random.default_rng(1)
    vectors, given = clusters()
    wrong = given.copy()
    bad = random.choice(len(given), 6, replace=False)
    wrong[bad] = (given[bad] + 1) % CLASSES
    unsure = 0.35 * np.eye(CLASSES)[given] + 0.65 * random.dirichlet(np.ones(3), len(given))
    ranks = []
    for nearby in (None, learn(vectors, wrong)):
        subject = units(wrong, unsure, nearby)
        priority = scored(subject, choices.fit(subject)).priority
        ranks.append((priority[bad, None] <= np.delete(priority, bad)).sum())
    assert ranks[1] < ranks[0]


def test_an_input_that_came_later_is_scored_as_without_neighbours():
    vectors, given = clusters()
    wrong = given.copy()
    wrong[70] = 0
    project = units(wrong, sure(given), learn(vectors, wrong))
    calibration = choices.fit(project)
    assert any(name.startswith("near_") for name in calibration)
    unknown = learn(vectors, wrong).of(np.arange(90) + 900, np.arange(90) + 9000)
    late = scored(units(wrong, sure(given), unknown), calibration).priority
    plain = {name: column for name, column in calibration.items() if "near_" not in name}
    np.testing.assert_array_equal(late, scored(units(wrong, sure(given), None), plain).priority)
    # Before any run there is nothing learnt, and nothing known: the page itself must do.
    assert np.isfinite(scored(units(wrong, sure(given), unknown)).priority).all()


def test_of_several_choices_only_the_odd_input_is_named():
    vectors, given = clusters()
    vectors[5], vectors[40] = -np.ones(SIZE), vectors[10]
    subject = units(given, sure(given), learn(vectors, given), choice="multiple")
    done = scored(subject, choices.fit(subject))
    assert done.findings.task[done.findings.kind == "outlier"].tolist() == [5]
    assert "duplicate" not in done.findings.kind


@pytest.mark.parametrize("seed", range(5))
def test_clean_projects_of_any_draw_raise_no_alarm(seed):
    vectors, given = clusters(seed)
    assert len(learn(vectors, given).remarks(given)) == 0


def test_a_layout_leaves_a_model_the_threads_that_it_was_given():
    """In a process of its own, as Numba sets them when its first loop runs."""
    said = """
import numpy as np, torch
torch.set_num_threads(1)
from analysis.neighbors import knn
from analysis.projection import project
rows = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)
near, before = knn(rows, 14), torch.get_num_threads()
project(rows, near)
print(before, torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
