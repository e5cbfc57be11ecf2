import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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

# Rows are items, columns annotators, -1 where the annotator gave no label.
TABLE = np.array(
    [
        [-1, 2, -1, -1],
        [-1, 2, -1, -1],
        [-1, 2, 1, -1],
        [-1, 0, 0, 0],
        [-1, 0, -1, -1],
        [1, -1, 0, -1],
        [0, -1, 2, -1],
        [0, 0, 1, -1],
        [0, 0, 0, -1],
        [2, 2, 1, 2],
        [1, -1, 0, 1],
        [2, -1, -1, -1],
        [1, 1, 0, -1],
        [1, 1, -1, 1],
    ]
)
PROBS = np.array(
    [
        [0.207, 0.087, 0.706],
        [0.014, 0.956, 0.03],
        [0.107, 0.776, 0.117],
        [0.731, 0.017, 0.252],
        [0.526, 0.36, 0.114],
        [0.688, 0.163, 0.149],
        [0.811, 0.132, 0.057],
        [0.55, 0.017, 0.433],
        [0.807, 0.08, 0.113],
        [0.212, 0.191, 0.597],
        [0.055, 0.599, 0.346],
        [0.345, 0.04, 0.615],
        [0.345, 0.549, 0.106],
        [0.191, 0.671, 0.138],
    ]
)


def votes_of(table, *, keep_empty=False):
    table = np.asarray(table)
    item, annotator = np.indices(table.shape).reshape(2, -1)
    given_rows = np.ones(table.size, bool) if keep_empty else table.ravel() != NONE
    label = table.ravel()[given_rows]
    return Votes(item[given_rows], annotator[given_rows], label, *table.shape)


@st.composite
def projects(draw):
    n, a, k = draw(st.integers(1, 15)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    table = draw(hnp.arrays(np.int32, (n, a), elements=st.integers(-1, k - 1)))
    raw = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(0.001, 1)))
    return votes_of(table, keep_empty=True), raw / raw.sum(axis=1, keepdims=True)


def shuffled(votes, random):
    return votes.take(np.array(random.sample(range(len(votes)), len(votes)), dtype=np.int64))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([0, -1], [0, 0], [0, 0]), "Votes.item row 1 is -1"),
        (([0, 1], [0, -3], [0, 0]), "Votes.annotator row 1 is -3"),
        (([0, 1], [0, 0], [0, -2]), "Votes.label row 1 is -2, expected -1 to"),
        (([0, 1, 0], [2, 0, 2], [0, 0, 1]), "row 2 is a second label of annotator 2 for item 0"),
        (([0, 1], [0, 0], [0.0, np.nan]), "Votes.label is float64"),
        (([0, 1], [0, 0], [0, 2**40]), "Votes.label row 1 is 1099511627776"),
        (([0, 1], [0, 0], [0]), "have 2, 2 and 1 rows"),
        (([[0]], [0], [0]), "Votes.item has shape"),
    ],
)
def test_bad_votes_are_named(columns, words):
    with pytest.raises(ValueError, match=words):
        Votes(*map(np.array, columns))


def test_a_row_without_a_label_is_no_second_vote_and_ids_of_any_kind_are_numbered():
    votes, tasks, people = Votes.from_ids(
        np.array([900, 900, 7]), np.array(["eve", "eve", "adam"]), np.array([NONE, 2, 1])
    )
    assert tasks.tolist() == [7, 900]
    assert people.tolist() == ["adam", "eve"]
    assert votes.item.tolist() == [1, 1, 0]
    assert (votes.items, votes.annotators, votes.cast.tolist()) == (2, 2, [1, 2])


def test_majority_and_its_ties_are_cleanlabs():
    # cleanlab 2.9.0 get_majority_vote_label(table with NaN for -1, PROBS) and without PROBS.
    votes = votes_of(TABLE)
    with_model = [2, 2, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 1]
    without = [2, 2, 2, 0, 0, 1, 2, 0, 0, 2, 1, 2, 1, 1]
    assert majority_vote(votes, 3, PROBS).tolist() == with_model
    assert majority_vote(votes, 3).tolist() == without


def test_a_tie_that_nothing_breaks_goes_to_the_better_annotator_then_to_the_lower_class():
    # Classes 0 and 1 have three votes each; annotator 1 agrees with the majority more often.
    # cleanlab 2.9.0 get_majority_vote_label gives the same.
    table = [[0, 1, NONE], [1, 2, 1], [2, 0, 0], [3, 2, 2]]
    assert majority_vote(votes_of(table), 4).tolist() == [1, 1, 0, 2]
    assert majority_vote(votes_of([[1, 0]]), 2).tolist() == [0]
    assert majority_vote(votes_of([[NONE, NONE], [1, 1]]), 2).tolist() == [NONE, 1]


def test_crowdlab_is_cleanlabs():
    # cleanlab 2.9.0 get_label_quality_multiannotator(table with NaN for -1, PROBS,
    # return_weights=True) with all other arguments left alone.
    found = crowdlab(votes_of(TABLE), PROBS)
    assert found.consensus.tolist() == [2, 1, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 1]
    np.testing.assert_allclose(
        found.consensus_quality,
        [0.7101964204, 0.7752226274, 0.6349782353, 0.7286342943, 0.5699519819, 0.6236839728,
         0.8009520494, 0.6013913424, 0.7829193567, 0.6532198029, 0.6409859451, 0.6278515341,
         0.6006850088, 0.69471781],
        rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(
        found.annotator_quality, [0.7027852871, 0.6640641741, 0.4001603743, 0.7785163231], rtol=1e-6
    )
    np.testing.assert_allclose(
        found.vote_quality,
        [0.7101964204, 0.1835006401, 0.2512853935, 0.6349782353, 0.7286342943, 0.7286342943,
         0.7286342943, 0.5699519819, 0.2286596026, 0.6236839728, 0.8009520494, 0.066405371,
         0.6013913424, 0.6013913424, 0.0523870735, 0.7829193567, 0.7829193567, 0.7829193567,
         0.6532198029, 0.6532198029, 0.1675020061, 0.6532198029, 0.6409859451, 0.0824912261,
         0.6409859451, 0.6278515341, 0.6006850088, 0.6006850088, 0.2840645002, 0.69471781,
         0.69471781, 0.69471781],
        rtol=1e-6,
    )  # fmt: skip
    assert found.model_weight == pytest.approx(1.511857892)
    np.testing.assert_allclose(
        found.annotator_weight, [0.2, 0.42857142857, 1e-6, 0.55555555556], rtol=1e-6
    )


def test_crowdlab_with_one_vote_an_item_weighs_annotators_against_the_model():
    votes = Votes(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 0, 1]))
    probs = np.array([[0.9, 0.1], [0.1, 0.9]] * 2 + [[0.1, 0.9], [0.9, 0.1]])
    found = crowdlab(votes, probs)
    assert np.isfinite(found.consensus_quality).all()
    assert found.annotator_quality[0] > found.annotator_quality[1]
    assert found.vote_quality[:4].min() > found.vote_quality[4:].max()


def test_crowdlab_leaves_items_and_annotators_without_a_vote_alone():
    votes = Votes(np.array([0, 0, 2]), np.array([0, 1, 3]), np.array([1, 1, NONE]), annotators=5)
    found = crowdlab(votes, np.full((4, 2), 0.5))
    assert found.consensus.tolist() == [1, NONE, NONE, NONE]
    assert np.isnan(found.consensus_quality[1:]).all()
    assert np.isnan(found.annotator_quality[2:]).all()
    assert np.isnan(found.vote_quality[2])


def naive_dawid_skene(table, classes, rounds):
    """The paper's equations in loops, no smoothing."""
    items, people = table.shape
    belief = np.array([np.bincount(row[row >= 0], minlength=classes) for row in table], float)
    belief /= belief.sum(axis=1, keepdims=True)

    def maximise():
        confusion = np.zeros((people, classes, classes))
        for i in range(items):
            for a in range(people):
                if table[i, a] >= 0:
                    confusion[a, :, table[i, a]] += belief[i]
        total = confusion.sum(axis=2, keepdims=True)
        return np.where(total > 0, confusion / np.where(total > 0, total, 1), 1 / classes)

    for _ in range(rounds):
        confusion, prior = maximise(), belief.mean(axis=0)
        for i in range(items):
            odds = prior.copy()
            for a in range(people):
                if table[i, a] >= 0:
                    odds *= confusion[a, :, table[i, a]]
            belief[i] = odds / odds.sum()
    return belief, maximise(), belief.mean(axis=0)


def test_dawid_skene_is_the_papers_em():
    got = dawid_skene(votes_of(TABLE), 3, smoothing=0, tolerance=0, most_iterations=7)
    posterior, confusion, prior = naive_dawid_skene(TABLE, 3, 7)
    assert got.iterations == 7
    np.testing.assert_allclose(got.posterior, posterior, atol=1e-9)
    np.testing.assert_allclose(got.confusion, confusion, atol=1e-9)
    np.testing.assert_allclose(got.prior, prior, atol=1e-9)


def test_dawid_skene_learns_who_swaps_classes():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 600)
    table = np.where(rng.random((600, 4)) < 0.9, truth[:, None], 1 - truth[:, None])
    table[:, 3] = 1 - table[:, 3]
    got = dawid_skene(votes_of(table), 2)
    assert (got.posterior.argmax(axis=1) == truth).mean() > 0.97
    assert got.confusion[3, 0, 1] > 0.8
    assert got.confusion[0, 0, 0] > 0.8


@settings(deadline=None)
@given(projects())
def test_dawid_skene_gives_distributions(project):
    votes, probs = project
    got = dawid_skene(votes, probs.shape[1])
    np.testing.assert_allclose(got.posterior.sum(axis=1), 1)
    np.testing.assert_allclose(got.confusion.sum(axis=2), 1)
    assert got.prior.sum() == pytest.approx(1)


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


def test_counting_by_sorting_and_by_table_are_one(monkeypatch):
    votes = votes_of(TABLE, keep_empty=True)
    by_table = crowdlab(votes, PROBS)
    monkeypatch.setattr("analysis.votes._DENSE", 0)
    by_sorting = crowdlab(votes, PROBS)
    assert (by_table.consensus == by_sorting.consensus).all()
    np.testing.assert_array_equal(by_table.vote_quality, by_sorting.vote_quality)


@settings(deadline=None)
@given(projects(), st.randoms(use_true_random=False))
def test_order_of_votes_changes_nothing_but_order(project, random):
    votes, probs = project
    other = shuffled(votes, random)
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
