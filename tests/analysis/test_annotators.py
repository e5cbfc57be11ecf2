import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.annotators import (
    Calibration,
    Votes,
    crowdlab,
    dawid_skene,
    find,
    fit,
    majority_vote,
)
from analysis.findings import NONE
from tests.analysis.crowds import PROBS, TABLE, projects, votes_of


def test_agreement_is_near_0_a_split_is_at_least_half_and_a_lone_dissent_between():
    table = np.repeat([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], [40, 40, 1, 1], 0)
    sure = np.array([[0.95, 0.05], [0.05, 0.95]])[np.r_[[0] * 40, [1] * 40, 0, 0]]
    for probs in (sure, None):
        found = find(votes_of(table), probs, floor=0)
        score = np.empty(82)
        score[found.task] = found.score
        assert score[:80].max() < 0.02
        assert score[80] >= 0.5
        assert 0.2 < score[81] < 0.35
        assert found.task[:2].tolist() == [80, 81]
        assert found.label[1] == 0
        assert found.annotation[1] == 81 * 4 + 3


def test_find_names_task_vote_and_consensus():
    table = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]] * 10 + [[1, 1, 0]])
    votes = votes_of(table)
    tasks = np.arange(31) + 100
    found = find(votes, tasks=tasks, floor=0.2)
    assert found.task.tolist() == [130]
    assert found.kind.tolist() == ["disagreement"]
    assert found.annotation.tolist() == [92]
    assert found.prediction.tolist() == [NONE]
    assert found.label.tolist() == [1]
    with_model = find(votes, np.eye(3)[table[:, 0]] * 0.7 + 0.1, tasks=tasks, floor=0.2)
    assert with_model.prediction.tolist() == [30]


def test_one_vote_an_item_is_found_only_where_a_model_speaks_against_it():
    label = np.arange(60) % 3
    probs = np.eye(3)[label] * 0.94 + 0.02
    probs[7] = [0.97, 0.02, 0.01]
    votes = Votes(np.arange(60), np.arange(60), label)
    assert not len(find(votes, num_classes=3, floor=0))
    found = find(votes, probs)
    assert found.task.tolist() == [7]
    assert found.label.tolist() == [0]
    assert found.score[0] > 0.5


def test_scores_are_the_share_of_wrong_votes_and_accuracies_are_found():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 4000)
    right = rng.uniform(0.6, 0.95, 30)
    who = np.stack([rng.permutation(30)[:3] for _ in truth])
    wrong = (truth[:, None] + rng.integers(1, 5, who.shape)) % 5
    label = np.where(rng.random(who.shape) < right[who], truth[:, None], wrong)
    votes = Votes(np.repeat(np.arange(4000), 3), who.ravel(), label.ravel())
    probs = rng.dirichlet(np.ones(5), 4000) * 0.5
    probs[np.arange(4000), truth] += 0.5
    trust = fit(votes, probs)
    assert np.abs(trust.accuracy - right).max() < 0.08
    assert trust.alternatives == pytest.approx(4, abs=0.2)
    found = find(votes, probs, calibration=trust, floor=0)
    share = (label != truth[:, None]).mean(axis=1)[found.task]
    for low, high in ((0, 0.1), (0.1, 0.4), (0.4, 1.01)):
        band = (found.score >= low) & (found.score < high)
        assert band.sum() > 50
        assert found.score[band].mean() == pytest.approx(share[band].mean(), abs=0.05)


@pytest.mark.parametrize("classes", [2, 6])
def test_a_model_that_guesses_is_not_heard_however_sure_it_is(classes):
    rng = np.random.default_rng(6)
    truth = rng.integers(0, classes, 1500)
    wrong = (truth[:, None] + rng.integers(1, classes, (1500, 4))) % classes
    table = np.where(rng.random((1500, 4)) < 0.8, truth[:, None], wrong)
    guesses = np.eye(classes)[rng.integers(0, classes, 1500)] * 0.94 + 0.06 / classes
    trust = fit(votes_of(table), guesses)
    assert trust.sharpness <= 0.1
    assert np.abs(trust.accuracy - 0.8).max() < 0.08
    sure = np.eye(classes)[truth] * 0.94 + 0.06 / classes
    assert fit(votes_of(table), sure).sharpness >= 1


def test_a_few_votes_leave_the_model_as_it_is():
    votes = votes_of([[0, 0], [1, 1], [0, 1]])
    assert fit(votes, np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])).sharpness == 1
    assert fit(votes, np.array([[0.4, 0.6], [0.6, 0.4], [0.4, 0.6]])).sharpness == 1


def test_an_item_alone_scores_as_in_the_whole_project():
    rng = np.random.default_rng(1)
    table = rng.integers(-1, 3, (200, 5))
    table[:, 0] = np.maximum(table[:, 0], 0)
    probs = rng.dirichlet(np.ones(3), 200)
    votes = votes_of(table)
    for given_probs in (probs, None):
        trust = fit(votes, given_probs, num_classes=3)
        stored = Calibration.from_arrays(trust.to_arrays())
        whole = find(votes, given_probs, num_classes=3, floor=0)
        for task in (3, 77):
            rows = votes.item == task
            mine = Votes(votes.item[rows] * 0, votes.annotator[rows], votes.label[rows])
            alone = find(
                mine,
                None if given_probs is None else probs[[task]],
                num_classes=3,
                calibration=stored,
                floor=0,
            )
            at = np.flatnonzero(whole.task == task)
            np.testing.assert_allclose(alone.score, whole.score[at], atol=1e-6)
            assert alone.label.tolist() == whole.label[at].tolist()


@settings(deadline=None)
@given(projects(), st.randoms(use_true_random=False))
def test_order_of_votes_changes_nothing_but_order(project, random):
    votes, probs = project
    other = votes.take(np.array(random.sample(range(len(votes)), len(votes)), dtype=np.int64))
    k = probs.shape[1]
    assert (majority_vote(votes, k) == majority_vote(other, k)).all()
    np.testing.assert_allclose(
        dawid_skene(votes, k).posterior, dawid_skene(other, k).posterior, atol=1e-6
    )
    one, two = crowdlab(votes, probs), crowdlab(other, probs)
    assert (one.consensus == two.consensus).all()
    np.testing.assert_allclose(one.consensus_quality, two.consensus_quality, atol=1e-5)
    np.testing.assert_allclose(one.annotator_quality, two.annotator_quality, atol=1e-5)
    for given_probs in (probs, None):
        trust = fit(votes, given_probs, num_classes=k)
        a = find(votes, given_probs, num_classes=k, calibration=trust, floor=0)
        b = find(other, given_probs, num_classes=k, calibration=trust, floor=0)
        mine, theirs = a.take(np.argsort(a.task)), b.take(np.argsort(b.task))
        assert (mine.task == theirs.task).all()
        np.testing.assert_allclose(mine.score, theirs.score, atol=1e-5)
        assert (mine.label == theirs.label).all()
        assert (votes.annotator[mine.annotation] == other.annotator[theirs.annotation]).all()


@settings(deadline=None)
@given(projects())
def test_scores_are_in_range_and_a_finding_is_about_a_vote_of_its_item(project):
    votes, probs = project
    got = crowdlab(votes, probs)
    cast = votes.cast
    assert ((got.vote_quality[cast] >= 0) & (got.vote_quality[cast] <= 1)).all()
    voted = np.bincount(votes.item[cast], minlength=votes.items) > 0
    assert ((got.consensus != NONE) == voted).all()
    for given_probs in (probs, None):
        found = find(votes, given_probs, num_classes=probs.shape[1], floor=0)
        assert (votes.item[found.annotation] == found.task).all()
        assert (votes.label[found.annotation] != NONE).all()
        assert (found.label != NONE).all()
        assert (np.diff(found.score) <= 0).all()
        # A vote drawn at random is wrong at least as often as it is not of the commonest label.
        for task, score in zip(found.task, found.score, strict=True):
            labels = votes.label[cast[votes.item[cast] == task]]
            assert score >= 1 - np.bincount(labels).max() / len(labels) - 1e-6


@settings(deadline=None)
@given(projects(), st.floats(0.05, 0.9))
def test_more_confidence_in_what_all_say_never_raises_the_score(project, share):
    votes, probs = project
    label = votes.label[votes.cast].copy()
    if not len(label):
        return
    item = int(votes.item[votes.cast[0]])
    label[votes.item[votes.cast] == item] = 0
    alike = Votes(votes.item[votes.cast], votes.annotator[votes.cast], label, votes.items)
    trust = fit(alike, probs)
    surer = probs.copy()
    surer[item] *= 1 - share
    surer[item, 0] += share
    before = find(alike, probs, calibration=trust, floor=0)
    after = find(alike, surer, calibration=trust, floor=0)
    assert after.score[after.task == item] <= before.score[before.task == item] + 1e-6


def test_empty_input_one_class_and_ten_thousand_votes_on_one_item():
    none = np.empty(0, dtype=np.int64)
    empty = Votes(none, none, none)
    assert majority_vote(empty, 3).shape == (0,)
    assert dawid_skene(empty, 3).posterior.shape == (0, 3)
    assert crowdlab(empty, np.full((2, 4), 0.25)).consensus.tolist() == [NONE, NONE]
    assert not len(find(empty))
    assert not len(find(empty, np.full((2, 4), 0.25)))
    one = Votes(np.array([0, 0, 1]), np.array([0, 1, 0]), np.zeros(3, dtype=int))
    assert majority_vote(one, 1).tolist() == [0, 0]
    assert (crowdlab(one, np.ones((2, 1))).consensus_quality == 1).all()
    assert (dawid_skene(one, 1).posterior == 1).all()
    assert not len(find(one, np.ones((2, 1))))
    crowd = Votes(np.zeros(10_000, dtype=int), np.arange(10_000), np.arange(10_000) % 5 // 4)
    found = find(crowd)
    assert found.label.tolist() == [0]
    assert found.score[0] == pytest.approx(0.2, abs=0.01)
    assert crowdlab(crowd, np.array([[0.5, 0.5]])).consensus.tolist() == [0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda v: majority_vote(v, 2), "Votes.label row 0 is 2, expected -1 to 1"),
        (lambda v: dawid_skene(v, 1), "Votes.label row 0 is 2"),
        (lambda v: crowdlab(v, PROBS[:3]), "do not match"),
        (lambda v: crowdlab(v, PROBS[:, :2]), "Votes.label row 0 is 2"),
        (lambda v: crowdlab(v, PROBS * 1.1), "probs row 0 sums to 1.1"),
        (lambda v: find(v, PROBS * np.nan), "probs row 0"),
        (lambda v: find(v, PROBS, num_classes=4), "num_classes 4 do not match"),
        (lambda v: find(v, tasks=np.arange(3)), "tasks"),
    ],
)
def test_what_does_not_match_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(votes_of(TABLE))
