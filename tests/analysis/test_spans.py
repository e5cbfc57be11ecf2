import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import detection, spans, taggers, tokens
from analysis.spans import Spans, overlapping_spans
from analysis.text import span_matching

TRUST = spans.Calibration(
    np.full((3, 3), 0.05, dtype=np.float32), np.zeros(3, dtype=np.float32), 0.05, 0.01
)


def people(*rows) -> Spans:
    """Rows of (task, start, end, label)."""
    return Spans(*(np.array([row[column] for row in rows], dtype=int) for column in range(4)))


def model(*rows) -> Spans:
    """Rows of (task, start, end, label, score)."""
    table = people(*rows)
    score = np.array([row[4] for row in rows])
    return Spans(table.task, table.start, table.end, table.label, score)


def find(annotations: Spans, predictions: Spans, **options) -> list[tuple]:
    options = {"num_classes": 3, "calibration": TRUST} | options
    found = spans.find(annotations, predictions, **options)
    return [
        (int(task), str(kind), int(annotation), int(prediction), round(float(score), 3), int(label))
        for task, kind, annotation, prediction, score, label in zip(
            *(found.task, found.kind, found.annotation, found.prediction),
            *(found.score, found.label),
            strict=True,
        )
    ]


def test_agreement_finds_nothing():
    assert find(people((1, 0, 5, 2)), model((1, 0, 5, 2, 0.9))) == []


# Drawn wrongly: odds 0.02 (1 - p) / p of the very span's chance p, here 0.01: 1.98 to 1.
def test_another_label_is_mislabelled():
    found = find(people((1, 0, 5, 2)), model((1, 0, 5, 1, 0.95), (1, 0, 5, 2, 0.01)))
    assert found == [(1, "mislabelled", 0, 0, 0.664, 1)]


def test_what_is_not_listed_is_no_likelier_than_the_least_that_is():
    assert find(people((1, 0, 5, 2)), model((1, 0, 5, 1, 0.95))) == [
        (1, "mislabelled", 0, 0, 0.664, 1)
    ]
    # A model that lists only what it is sure of: its gaps, 0.05, say more.
    sure = spans.Calibration(TRUST.unlisted, TRUST.absent, 0.05, 0.9)
    assert find(people((1, 0, 5, 2)), model((1, 0, 5, 1, 0.95)), calibration=sure) == [
        (1, "mislabelled", 0, 0, 0.275, 1)
    ]


def test_other_borders_are_badly_drawn():
    found = find(people((1, 0, 5, 2)), model((1, 0, 8, 2, 0.95)))
    assert found == [(1, "badly_drawn", 0, 0, 0.664, 2)]


def test_a_span_without_support_is_spurious():
    assert find(people((1, 0, 5, 2)), model()) == [(1, "spurious", 0, -1, 0.664, -1)]


# Left out: odds 0.2 p / (1 - p) of the chance p that anything is there, here 0.9: 1.8 to 1.
def test_a_confident_span_nobody_drew_is_missing():
    found = find(people((1, 0, 5, 2)), model((1, 0, 5, 2, 0.99), (1, 7, 9, 1, 0.9)))
    assert found == [(1, "missing", -1, 1, 0.643, 1)]


def test_alternatives_on_one_spot_speak_together_for_the_strongest():
    found = find(people(), model((1, 7, 9, 0, 0.5), (1, 7, 9, 1, 0.3), (1, 7, 12, 0, 0.1)))
    assert found == [(1, "missing", -1, 0, 0.643, 0)]


def test_touching_spans_do_not_overlap():
    found = find(people((1, 0, 5, 2)), model((1, 0, 5, 2, 0.99), (1, 5, 9, 2, 0.9)))
    assert [row[1:4] for row in found] == [("missing", -1, 1)]


def test_a_span_drawn_twice_is_a_duplicate_where_the_model_backs_it_less():
    found = find(people((1, 0, 8, 2), (1, 0, 10, 2)), model((1, 0, 10, 2, 0.99)))
    assert found == [(1, "duplicate", 0, -1, 0.8, -1)]
    twins = find(people((1, 0, 8, 2), (1, 0, 8, 2)), model((1, 0, 8, 2, 0.99)))
    assert twins == [(1, "duplicate", 1, -1, 1.0, -1)]


def test_nested_spans_that_the_model_sees_are_no_error():
    inner, outer = (1, 14, 19, 0), (1, 0, 19, 1)
    seen = model((*inner, 0.95), (*outer, 0.9))
    assert find(people(inner, outer), seen) == []
    assert find(people(inner), seen) == [(1, "missing", -1, 1, 0.643, 1)]
    same = model((1, 14, 19, 0, 0.95), (1, 0, 19, 0, 0.9))
    assert find(people((1, 14, 19, 0), (1, 0, 19, 0)), same) == []


def test_one_place_predicted_twice_alike_counts_once():
    once = find(people(), model((1, 7, 9, 0, 0.6)))
    assert find(people(), model((1, 7, 9, 0, 0.2), (1, 7, 9, 0, 0.6))) == [
        (*once[0][:3], 1, *once[0][4:])
    ]


@pytest.mark.parametrize("far", [2, -7, 1 << 62])
def test_tasks_do_not_mix(far):
    human = people((1, 0, 5, 2), (far, 3, 9, 2))
    assert find(human, model((far, 3, 9, 2, 1), (1, 0, 5, 2, 1))) == []
    assert len(find(human, model((far, 0, 5, 2, 1), (1, 3, 9, 2, 1)))) == 2


def test_a_label_the_model_does_not_know_is_never_in_doubt_and_explains():
    assert find(people((1, 0, 5, -1)), model((1, 0, 5, 1, 0.9))) == []
    assert find(people((1, 0, 5, -1)), model()) == []
    assert find(people(), model((1, 0, 5, -1, 0.9))) == []


def test_nothing_gives_nothing():
    assert find(people(), model()) == []
    empty = spans.fit(people(), model(), num_classes=3)
    np.testing.assert_allclose(empty.unlisted, 0.05)
    np.testing.assert_allclose(empty.absent, 0.05)
    assert (empty.doubt, empty.least) == (0.3, 1)
    assert find(people(), model(), calibration=None) == []


def test_one_class():
    human, machine = people((1, 0, 5, 0)), model((1, 0, 4, 0, 0.9))
    assert [row[1] for row in find(human, machine, num_classes=1, calibration=None)] == [
        "badly_drawn"
    ]


def test_a_model_that_misses_much_makes_little_of_what_it_misses():
    human = people(*[(task, 0, 5, 1) for task in range(40)])
    weak = model(*[(task, 0, 5, 1, 0.9) for task in range(10)])
    trust = spans.fit(human, weak, num_classes=3)
    assert trust.unlisted[1, 2] == pytest.approx((30 + 20 * (30 + 1) / 60) / 60)
    assert trust.unlisted[1, 0] == pytest.approx(20 * (1 / 60) / 60)
    assert max(row[4] for row in find(human, weak, calibration=trust, floor=0)) < 0.1


@pytest.mark.parametrize("score", [0, 1e-6, 2e-3, 0.3])
def test_few_weak_predictions_elsewhere_do_not_make_a_model_thorough(score):
    human = people(*[(task, 5, 9, 0) for task in range(200)])
    sure = [(task, 5, 9, 0, 0.95) for task in range(150)]
    elsewhere = [(1000 + task, 5, 9, 0, score) for task in range(10)]
    assert spans.fit(human, model(*sure, *elsewhere), num_classes=3).least > 0.949
    found = find(human, model(*sure, *elsewhere), calibration=None, floor=0)
    assert max(row[4] for row in found if row[2] >= 150) < 0.06


def test_many_weak_predictions_make_a_model_thorough_down_to_a_thousandth():
    sure = [(task, 5, 9, 0, 0.95) for task in range(150)]
    for score, least in ((0.02, 0.02), (2e-3, 2e-3), (1e-4, 0.95)):
        weak = [(1000 + task, 5, 9, 0, score) for task in range(50)]
        trust = spans.fit(people(), model(*sure, *weak), num_classes=3)
        assert trust.least == pytest.approx(least)


def test_scores_of_0_say_nothing():
    human = people(*[(task, 5, 9, 0) for task in range(400)])
    silent = model(*[(task, 5, 9, 0, 0) for task in range(400)])
    assert max(row[4] for row in find(human, silent, calibration=None, floor=0)) < 0.01


def test_a_faint_rival_is_none():
    human = people(*[(task, 5, 9, 0) for task in range(400)])
    faint = model(*[(task, 4, 9, 1, 1e-5) for task in range(400)])
    assert max(row[4] for row in find(human, faint, calibration=None, floor=0)) < 0.01


def test_a_model_that_sees_too_much_makes_little_of_it():
    human = people(*[(task, 0, 5, 1) for task in range(100)])
    loud = [(task, 0, 5, 1, 1.0) for task in range(100)]
    wild = model(*loud, *[(task, 7, 9, 1, 1.0) for task in range(100)])
    trust = spans.fit(human, wild, num_classes=3)
    assert trust.absent[1] == pytest.approx(0.43, abs=0.02)
    scores = [row[4] for row in find(human, wild, calibration=trust)]
    assert scores == [pytest.approx(0.32, abs=0.02)] * 100


def test_a_calibration_survives_storage():
    again = spans.Calibration.from_arrays(TRUST.to_arrays())
    np.testing.assert_array_equal(again.unlisted, TRUST.unlisted)
    np.testing.assert_array_equal(again.absent, TRUST.absent)
    assert (again.doubt, again.least) == (TRUST.doubt, TRUST.least)


def test_task_scores_are_those_of_detection():
    assert spans.task_scores is detection.task_scores


@pytest.mark.parametrize(
    ("annotations", "predictions", "options", "said"),
    [
        (people((5, 0, 3, 3)), model(), {}, "annotations.label row 0 .task 5. is 3, .* -1 to 2"),
        (people(), model((5, 0, 3, 9, 0.5)), {}, "predictions.label row 0 .task 5. is 9"),
        (people(), people((5, 0, 3, 1)), {}, "predictions.score is None"),
        (people(), model(), {"num_classes": 2}, "calibration is of 3 classes, expected 2"),
    ],
)
def test_wrong_input_is_named(annotations, predictions, options, said):
    with pytest.raises(ValueError, match=said):
        find(annotations, predictions, **options)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([1], [0], [0], [0], [0.5]), "end row 0 .task 1. is 0, expected 1 to"),
        (([1], [3], [3], [0], [0.5]), "end row 0 .task 1. is 3, expected more than its start"),
        (([1], [-1], [3], [0], [0.5]), "start row 0 .task 1. is -1, expected 0 to"),
        (([1, 2], [0, 0], [3, 1 << 40], [0, 0], [0.5, 0.5]), "end row 1 .task 2."),
        (([1], [0], [3], [-2], [0.5]), "label row 0 .task 1. is -2"),
        (([1], [0], [3], [0], [1.5]), "score row 0 .task 1. is 1.5"),
        (([1], [0], [3], [0], [np.nan]), "score row 0 .task 1. is nan"),
        (([1], [0.5], [3], [0], [0.5]), "start row 0 .task 1. is 0.5, expected a whole number"),
        (([1], [0], [np.nan], [0], [0.5]), "end row 0 .task 1. is nan, expected a whole number"),
        (([1], [0], [3, 4], [0], [0.5]), "Spans.end has shape .2,., expected .1,."),
    ],
)
def test_wrong_columns_are_named(columns, said):
    with pytest.raises(ValueError, match=said):
        Spans(*(np.array(column) for column in columns))


start = st.integers(0, 30)
length = st.integers(1, 12)
rows = st.lists(
    st.tuples(st.integers(0, 3), start, length, st.integers(-1, 2), st.floats(0, 1)), max_size=12
)


def tables(human, machine):
    return (
        people(*[(row[0], row[1], row[1] + row[2], row[3]) for row in human]),
        model(*[(row[0], row[1], row[1] + row[2], row[3], row[4]) for row in machine]),
    )


@settings(max_examples=200, deadline=None)
@given(rows, rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_but_their_order(human, machine, random):
    first = find(*tables(human, machine), floor=0)
    places, others = list(range(len(human))), list(range(len(machine)))
    random.shuffle(places)
    random.shuffle(others)
    second = find(*tables([human[at] for at in places], [machine[at] for at in others]), floor=0)
    # Of spans drawn twice exactly alike either may be named, and of predictions.
    known = {row[:4] for row in human}
    if len(known) < len(human) or len({row[:4] for row in machine}) < len(machine):
        assert sorted((row[0], row[1], row[4], row[5]) for row in first) == sorted(
            (row[0], row[1], row[4], row[5]) for row in second
        )
        return
    back = np.array([*places, -1]), np.array([*others, -1])
    restored = [(*row[:2], back[0][row[2]], back[1][row[3]], *row[4:]) for row in second]
    assert sorted(restored) == sorted(first)


@settings(max_examples=200, deadline=None)
@given(rows, rows)
def test_a_task_alone_scores_as_in_the_project(human, machine):
    whole = spans.find(*tables(human, machine), num_classes=3, calibration=TRUST, floor=0)
    assert ((whole.score >= 0) & (whole.score <= 1)).all()
    for task in range(4):
        mine = [[row for row in side if row[0] == task] for side in (human, machine)]
        alone = spans.find(*tables(*mine), num_classes=3, calibration=TRUST, floor=0)
        np.testing.assert_array_equal(alone.score, whole.score[whole.task == task])
        np.testing.assert_array_equal(alone.kind, whole.kind[whole.task == task])


@settings(max_examples=200, deadline=None)
@given(rows, rows)
def test_every_human_span_is_found_at_most_once(human, machine):
    found = spans.find(*tables(human, machine), num_classes=3, floor=0)
    about = found.annotation[found.annotation >= 0]
    assert len(np.unique(about)) == len(about)
    assert (found.annotation >= 0).sum() == sum(row[3] >= 0 for row in human)


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_scores_follow_the_models_confidence(one, two):
    low, high = sorted((one, two))

    def score(human, machine, calibration=TRUST):
        found = spans.find(human, machine, num_classes=3, calibration=calibration, floor=0)
        return float(spans.task_scores(found, np.array([1]))[0])

    human = people((1, 0, 5, 2))
    if low > 0:
        agreed = [score(human, model((1, 0, 5, 2, sure))) for sure in (low, high)]
        assert agreed[0] >= agreed[1]
    sparse = spans.Calibration(TRUST.unlisted, TRUST.absent, 0.3, 1)
    alone = [score(human, model((1, 0, 5, 1, max(sure, 0.01))), sparse) for sure in (low, high)]
    assert alone[0] <= alone[1]
    against = [score(human, model((1, 0, 5, 1, sure), (1, 0, 5, 2, 0.01))) for sure in (low, high)]
    assert against[0] <= against[1]
    missing = [score(people(), model((1, 0, 5, 1, sure))) for sure in (low, high)]
    assert missing[0] <= missing[1]


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_pairs_are_those_of_every_span_with_every_other(monkeypatch, block):
    monkeypatch.setattr(span_matching, "_BLOCK", block)

    @settings(max_examples=100, deadline=None)
    @given(rows, rows, st.sampled_from([0.0, 0.3]))
    def check(human, machine, least):
        first, second = tables(human, machine)
        expected = {}
        for i, j in itertools.product(range(len(first)), range(len(second))):
            mine = set(range(first.start[i], first.end[i]))
            theirs = set(range(second.start[j], second.end[j]))
            iou = len(mine & theirs) / len(mine | theirs)
            if first.task[i] == second.task[j] and iou > least:
                expected[i, j] = pytest.approx(iou)
        pairs = overlapping_spans(first, second, least)
        found = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        assert dict(zip(found, pairs.iou.tolist(), strict=True)) == expected
        assert (np.diff(pairs.first) >= 0).all()

    check()


def test_ten_thousand_spans_of_one_task_overlap_one():
    many = np.arange(10_000)
    human = Spans(np.zeros(10_000), many * 3, many * 3 + 2, many % 3)
    whole = Spans(np.zeros(1), np.zeros(1), np.array([30_000]), np.zeros(1), np.array([0.4]))
    narrow = Spans(human.task, human.start, human.end, human.label, np.full(10_000, 0.99))
    found = spans.find(human, narrow, num_classes=3)
    assert len(found) == 0
    wide = spans.find(human, whole, num_classes=3, floor=0)
    assert len(wide) == 10_000
    assert len(overlapping_spans(whole, human)) == 10_000


# Tokens. The numbers are cleanlab 2.9's, of token_classification.rank.get_label_quality_scores.
TOKEN_LABELS = np.array([0, 1, 2, 2, 0, 1])
TOKEN_PROBS = np.array(
    [
        *([0.9, 0.05, 0.05], [0.2, 0.3, 0.5], [0.1, 0.15, 0.75]),
        *([0.6, 0.1, 0.3], [0.55, 0.25, 0.2], [0.02, 0.97, 0.01]),
    ]
)
OFFSETS = np.array([0, 3, 5, 6])


def test_tokens_and_sentences_score_as_cleanlab_scores_them():
    own = tokens.token_self_confidence(TOKEN_LABELS, TOKEN_PROBS)
    np.testing.assert_allclose(own, [0.9, 0.3, 0.75, 0.3, 0.55, 0.97])
    np.testing.assert_allclose(tokens.sentence_score(own, OFFSETS), [0.3, 0.3, 0.97])
    soft = tokens.sentence_score(own, OFFSETS, method="softmin")
    np.testing.assert_allclose(soft, [0.3000592132679343, 0.3016732127310712, 0.97])
    softer = tokens.sentence_score(own, OFFSETS, method="softmin", temperature=0.5)
    np.testing.assert_allclose(softer, [0.5129526687308488, 0.39438516719953637, 0.97])


def test_softmin_runs_from_the_worst_token_to_the_mean():
    own = tokens.token_self_confidence(TOKEN_LABELS, TOKEN_PROBS)
    for temperature, scores in ((0, [0.3, 0.3, 0.97]), (np.inf, [0.65, 0.425, 0.97])):
        got = tokens.sentence_score(own, OFFSETS, method="softmin", temperature=temperature)
        np.testing.assert_allclose(got, scores)


def test_tokens_of_overlapping_spans_score_as_cleanlabs_span_classification():
    # cleanlab.experimental.span_classification.get_label_quality_scores of the first column.
    labels = np.array([[0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 1]], dtype=bool).T
    probs = np.array([[0.9, 0.8, 0.7, 0.1, 0.1, 0.2, 0.95], [0.5, 0.5, 0.5, 0.5, 0.05, 0.9, 0.01]])
    expected = [0.1, 0.2, 0.7, 0.1, 0.1, 0.2, 0.05]
    one = tokens.token_self_confidence(labels[:, :1], probs[:1].T)
    np.testing.assert_allclose(one, expected)
    soft = tokens.sentence_score(one, np.array([0, 4, 7]), method="softmin")
    np.testing.assert_allclose(soft, [0.10633960203134622, 0.068242677061022])
    both = tokens.token_self_confidence(labels, probs.T)
    np.testing.assert_allclose(both, [0.1, 0.2, 0.5, 0.1, 0.05, 0.2, 0.01])


def test_no_tokens_and_no_label_have_nothing_that_could_be_wrong():
    assert tokens.token_self_confidence(np.array([-1]), np.array([[0.5, 0.5]]))[0] == 1
    np.testing.assert_array_equal(
        tokens.sentence_score(np.array([0.4]), np.array([0, 0, 1, 1])), [1, 0.4, 1]
    )
    assert len(tokens.sentence_score(np.empty(0), np.array([0]))) == 0


@pytest.mark.parametrize(
    ("scores", "offsets", "options", "said"),
    [
        ([0.5, 2], [0, 2], {}, "token_scores row 1 is 2"),
        ([np.nan], [0, 1], {}, "token_scores row 0 is nan"),
        ([0.5], [0, 2], {}, "from 0 to 1"),
        ([0.5, 0.5], [0, 2, 1, 2], {}, "offsets row 2 is 1, expected 2 or more"),
        ([0.5], [0, 1], {"method": "max"}, "method is 'max'"),
        ([0.5], [0, 1], {"method": "softmin", "temperature": -1}, "temperature is -1"),
    ],
)
def test_wrong_sentences_are_named(scores, offsets, options, said):
    with pytest.raises(ValueError, match=said):
        tokens.sentence_score(np.array(scores), np.array(offsets), **options)


def test_wrong_yes_and_no_are_named():
    with pytest.raises(ValueError, match=r"probs row 1 holds 1\.5"):
        tokens.token_self_confidence(np.ones((2, 1), dtype=bool), np.array([[0.5], [1.5]]))
    with pytest.raises(ValueError, match="do not match"):
        tokens.token_self_confidence(np.ones((2, 1), dtype=bool), np.zeros((2, 3)))


def test_a_token_has_the_worst_finding_about_it():
    words = people((1, 0, 3, -1), (1, 4, 8, -1), (1, 9, 12, -1), (1, 13, 15, -1), (2, 0, 3, -1))
    human = people((1, 4, 8, 0), (2, 0, 3, 1))
    machine = model((1, 4, 12, 0, 0.95), (1, 13, 15, 1, 0.9), (2, 0, 3, 2, 0.95))
    score = tokens.token_scores(human, machine, words, num_classes=3, calibration=TRUST)
    # The borders differ by the third word; the fourth is left out; the last has another label.
    np.testing.assert_allclose(score, [0, 0, 0.664, 0.643, 0.664], atol=1e-3)
    assert score.dtype == np.float32


def _by_hand(probs, begin, inside, offsets):
    """Every allowed sequence of tags, one after the other."""
    found = {}
    for low, high in itertools.pairwise(offsets):
        total, here = 0.0, {}
        for tags in itertools.product(range(probs.shape[1]), repeat=high - low):
            spans_of, open_label = [], None
            for at, tag in enumerate(tags):
                if tag in begin:
                    open_label = begin.index(tag)
                    spans_of.append([at, at, open_label])
                elif tag in inside and open_label == inside.index(tag):
                    spans_of[-1][1] = at
                elif tag in inside:
                    break
                else:
                    open_label = None
            else:
                weight = np.prod([probs[low + at, tag] for at, tag in enumerate(tags)])
                total += weight
                for first, last, label in spans_of:
                    key = (low + first, low + last, label)
                    here[key] = here.get(key, 0) + weight
        found |= {key: weight / total for key, weight in here.items()}
    return found


@pytest.mark.parametrize("block", [1 << 20, 5])
def test_span_marginals_are_those_of_every_tag_sequence(monkeypatch, block):
    monkeypatch.setattr(taggers, "_BLOCK", block)
    probs = np.random.default_rng(0).dirichlet(np.full(5, 0.6), 7)
    offsets = np.array([0, 3, 3, 7])
    got = taggers.span_marginals(probs, offsets, begin=[1, 3], inside=[2, 4], least=0.001)
    expected = _by_hand(probs, [1, 3], [2, 4], offsets)
    found = zip(got.first.tolist(), got.last.tolist(), got.label.tolist(), strict=True)
    assert dict(zip(found, got.score.tolist(), strict=True)) == {
        key: pytest.approx(score, abs=1e-6) for key, score in expected.items() if score >= 0.001
    }


def test_long_sentences_do_not_underflow():
    probs = np.tile([0.01, 0.01, 0.98], (5000, 1))
    got = taggers.span_marginals(probs, np.array([0, 5000]), begin=[0], inside=[1])
    assert np.isfinite(got.score).all()
    # Only the last token can hold a B that cannot go on.
    assert len(got) == 5000
    assert got.score.max() < 0.02


def test_a_span_has_the_support_of_its_weakest_part():
    probs = np.array([[0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.7, 0.1, 0.2]])
    offsets = np.array([0, 2, 3])
    spot = {"begin": [1], "inside": [2], "label": np.zeros(3, dtype=int)}
    # B then I: 0.8 of 0.9 begins here. The first alone: 0.1 does not go on. The last: 0.1 of 0.3.
    support = taggers.span_support(
        probs, offsets, first=np.array([0, 0, 2]), last=np.array([1, 0, 2]), **spot
    )
    np.testing.assert_allclose(support, [0.8 / 0.9, 0.1, 0.3], atol=1e-6)
    with pytest.raises(ValueError, match="span 1 is tokens 1 to 2 of class 0"):
        taggers.span_support(
            probs, offsets, first=np.array([0, 1, 2]), last=np.array([1, 2, 2]), **spot
        )


def test_no_tokens_hold_no_spans():
    nothing = np.empty((0, 3))
    assert len(taggers.span_marginals(nothing, np.array([0]), begin=[1], inside=[2])) == 0
    none = np.empty(0, dtype=int)
    place = {"first": none, "last": none, "label": none}
    assert len(taggers.span_support(nothing, np.array([0]), begin=[1], inside=[2], **place)) == 0


@pytest.mark.parametrize(
    ("probs", "options", "said"),
    [
        ([[0.5, 0.4, 0.3]], {}, "probs row 0 sums to 1.2"),
        ([[0.5, 0.4, np.nan]], {}, "probs row 0 sums to nan"),
        ([[0.5, 0.3, 0.2]], {"begin": [3]}, "do not name columns of probs"),
        ([[0.5, 0.3, 0.2]], {"begin": [1, 2]}, "do not name columns of probs"),
        ([[0.5, 0.3, 0.2]], {"least": 0}, "least is 0"),
    ],
)
def test_wrong_taggers_are_named(probs, options, said):
    with pytest.raises(ValueError, match=said):
        taggers.span_marginals(
            np.array(probs), np.array([0, 1]), **({"begin": [1], "inside": [2]} | options)
        )
