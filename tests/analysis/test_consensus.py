import numpy as np
import pytest
from hypothesis import given, settings

from analysis.annotators import Votes, crowdlab, dawid_skene, majority_vote
from analysis.findings import NONE
from tests.analysis.crowds import PROBS, TABLE, projects, votes_of


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([0, -1], [0, 0], [0, 0]), "Votes.item row 1 is -1"),
        (([0, 1], [0, -3], [0, 0]), "Votes.annotator row 1 is -3"),
        (([0, 1], [0, 0], [0, -2]), "Votes.label row 1 is -2, expected -1 to"),
        (([0, 1, 0], [2, 0, 2], [0, 0, 1]), "row 2 is a second label of annotator 2 for item 0"),
        (([0, 1], [0, 0], [0.0, np.nan]), "Votes.label row 1 is nan"),
        (([0, 1], [0, 0], [0, 2**40]), "Votes.label row 1 is 1099511627776"),
        (([0, 1], [0, 0], [0]), "Votes.label has shape"),
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


def test_counting_by_sorting_and_by_table_are_one(monkeypatch):
    votes = votes_of(TABLE, keep_empty=True)
    by_table = crowdlab(votes, PROBS)
    monkeypatch.setattr("analysis.crowd.votes._DENSE", 0)
    by_sorting = crowdlab(votes, PROBS)
    assert (by_table.consensus == by_sorting.consensus).all()
    np.testing.assert_array_equal(by_table.vote_quality, by_sorting.vote_quality)
