import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.agreement import krippendorff_alpha
from analysis.crowd.sheets import Sheets, compare
from analysis.crowd.votes import Votes
from analysis.geometry.matching import Pairs, box_iou
from analysis.region_agreement import (
    alpha,
    annotator_quality,
    box_alpha,
    box_pairs,
    compare_boxes,
    deal,
    disputed,
)
from analysis.regions import Regions


def drawn(*rows):
    """Regions and annotators of (task, annotator, label, x0, y0, x1, y1)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return Regions(table[:, 0], table[:, 2], table[:, 3:]), table[:, 1].astype(np.int64)


coordinate = st.integers(0, 12)
works = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 2), st.integers(0, 1), coordinate, coordinate,
        st.integers(1, 9), st.integers(1, 9),
    ),
    max_size=25,
)  # fmt: skip


def table_of(work):
    return drawn(*[(t, a, k, x, y, x + w, y + h) for t, a, k, x, y, w, h in work])


def disputes_of(*rows, looked=()):
    regions, annotator = drawn(*rows)
    seen = np.array(looked, dtype=np.int64).reshape(-1, 2)
    sheets = Sheets.of(regions.task, annotator, (seen[:, 0], seen[:, 1]))
    found, made, of = disputed(sheets, box_pairs(regions, sheets))
    return [
        (int(row), round(float(score), 2), some, every)
        for row, score, some, every in zip(
            found.annotation, found.score, made.tolist(), of.tolist(), strict=True
        )
    ]


def test_what_one_of_two_made_is_disputed_and_what_both_made_is_not():
    alike = [(4, 5, 0, 0, 0, 10, 10), (4, 8, 0, 0, 0, 10, 9)]
    assert disputes_of(*alike) == []
    assert disputes_of(*alike, (4, 8, 0, 50, 50, 60, 60)) == [(2, 0.5, 1, 2)]
    # Another name for the same place is two things that one of two has said.
    named = [(4, 5, 0, 0, 0, 10, 10), (4, 8, 1, 0, 0, 10, 10)]
    assert disputes_of(*named) == [(0, 0.5, 1, 2), (1, 0.5, 1, 2)]
    assert disputes_of((4, 5, 0, 0, 0, 10, 10), looked=[(4, 9)]) == [(0, 0.5, 1, 2)]
    assert disputes_of((4, 5, 0, 0, 0, 10, 10), looked=[(3, 9)]) == []


def test_the_more_people_made_a_region_the_less_it_is_disputed():
    one = [(0, 1, 0, 0, 0, 9, 9)]
    assert disputes_of(*one, looked=[(0, 2), (0, 3)]) == [(0, 0.37, 1, 3)]
    two = [*one, (0, 2, 0, 0, 0, 9, 9)]
    assert disputes_of(*two, looked=[(0, 3)]) == [(0, 0.37, 2, 3), (1, 0.37, 2, 3)]
    assert disputes_of() == []


def test_two_annotators_by_hand():
    regions, annotator = drawn(
        (4, 8, 0, 0, 0, 10, 8),
        (4, 8, 0, 50, 50, 60, 60),
        (4, 5, 0, 0, 0, 10, 10),
        (4, 5, 0, 20, 0, 30, 10),
        (4, 5, 0, 0, 0, 10, 3),
    )
    got = compare_boxes(regions, annotator)
    assert (got.task.tolist(), got.first.tolist(), got.second.tolist()) == ([4], [5], [8])
    assert (got.regions.tolist(), got.matched.tolist()) == ([5], [1])
    assert got.f1[0] == pytest.approx(2 / 5)
    assert got.mean_similarity[0] == pytest.approx(0.8)
    assert got.agreement[0] == pytest.approx(2 * 0.8 / 5)
    strict = compare_boxes(regions, annotator, threshold=0.9)
    assert (strict.f1[0], strict.matched[0]) == (0, 0)
    assert np.isnan(strict.mean_similarity[0])
    assert strict.agreement[0] == got.agreement[0]


def test_a_box_is_matched_once_with_each_other_annotator_the_best_pair_first():
    regions, annotator = drawn(
        (0, 1, 0, 0, 0, 10, 10),
        (0, 2, 0, 0, 0, 10, 9),
        (0, 2, 0, 0, 0, 10, 8),
        (0, 3, 0, 0, 0, 10, 10),
    )
    got = compare_boxes(regions, annotator)
    assert list(zip(got.first, got.second, strict=True)) == [(1, 2), (1, 3), (2, 3)]
    assert got.matched.tolist() == [1, 1, 1]
    assert got.mean_similarity == pytest.approx([0.9, 1, 0.9])


def test_labels_rule_a_match_out_unless_told_otherwise():
    regions, annotator = drawn((0, 1, 0, 0, 0, 10, 10), (0, 2, 1, 0, 0, 10, 10))
    assert compare_boxes(regions, annotator).agreement.tolist() == [0]
    assert compare_boxes(regions, annotator, same_label=False).agreement.tolist() == [1]


def test_who_looked_and_drew_nothing_counts():
    regions, annotator = drawn((0, 1, 0, 0, 0, 10, 10), (0, 2, 0, 0, 0, 10, 10))
    looked = (np.array([0, 7, 7, 9]), np.array([3, 1, 2, 1]))
    got = compare_boxes(regions, annotator, looked=looked)
    rows = list(zip(got.task, got.first, got.second, strict=True))
    assert rows == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (7, 1, 2)]
    assert got.f1.tolist() == [1, 0, 0, 1]
    assert got.agreement.tolist() == [1, 0, 0, 1]
    ids, quality = annotator_quality(got)
    assert ids.tolist() == [1, 2, 3]
    assert quality == pytest.approx([0.75, 0.75, 0])


def test_spans_come_as_pairs_either_way_round():
    # Annotator 1 marks characters 0-4 and 10-14 of a text, annotator 2 marks 0-4 and 12-16.
    task, annotator = np.zeros(4, dtype=int), np.array([1, 1, 2, 2])
    overlap = Pairs(
        np.array([2, 0, 3, 0]), np.array([0, 2, 1, 0]), np.array([1, 1, 1 / 3, 1], np.float32)
    )
    got = compare(Sheets.of(task, annotator), overlap)
    assert got.f1.tolist() == [0.5]
    assert got.agreement == pytest.approx([2 / 3])


def brute_greedy(regions, annotator, task, first, second):
    mine = np.flatnonzero((regions.task == task) & (annotator == first))
    theirs = np.flatnonzero((regions.task == task) & (annotator == second))
    left = sorted(
        (-float(box_iou(regions.box[[i]], regions.box[[j]])[0]), i, j)
        for i in mine
        for j in theirs
        if regions.label[i] == regions.label[j]
    )
    used, total = set(), 0.0
    for value, i, j in left:
        if value < 0 and not {i, j} & used:
            used |= {i, j}
            total -= value
    return len(mine) + len(theirs), total


@settings(deadline=None)
@given(works)
def test_comparison_is_greedy_matching_of_every_two_sheets(work):
    regions, annotator = table_of(work)
    got = compare_boxes(regions, annotator)
    sheets = sorted(set(zip(regions.task.tolist(), annotator.tolist(), strict=True)))
    pairs = [(t, a, b) for t, a in sheets for s, b in sheets if s == t and a < b]
    assert list(zip(got.task, got.first, got.second, strict=True)) == pairs
    for row, (task, first, second) in enumerate(pairs):
        count, total = brute_greedy(regions, annotator, task, first, second)
        assert got.regions[row] == count
        assert got.similarity[row] == pytest.approx(total, abs=1e-5)
    assert ((got.agreement >= 0) & (got.agreement <= 1 + 1e-6)).all()
    assert (got.f1 <= 1).all()


@settings(deadline=None)
@given(works, st.randoms(use_true_random=False))
def test_order_of_regions_changes_nothing(work, random):
    # Sizes of their own make every IoU its own: greedy matching has no ties to break.
    regions, annotator = table_of(work)
    box = regions.box.copy()
    box[:, 2:] += np.linspace(0.1, 0.9, len(box) * 2).reshape(-1, 2) ** 3
    regions = Regions(regions.task, regions.label, box)
    order = np.array(random.sample(range(len(work)), len(work)), dtype=np.int64)
    one = compare_boxes(regions, annotator)
    two = compare_boxes(regions.take(order), annotator[order])
    assert (one.matched == two.matched).all()
    np.testing.assert_allclose(one.agreement, two.agreement, atol=1e-5)
    np.testing.assert_allclose(annotator_quality(one)[1], annotator_quality(two)[1], atol=1e-5)
    for draws in (20_000, 5):
        mine = box_alpha(regions, annotator, draws=draws)
        theirs = box_alpha(regions.take(order), annotator[order], draws=draws)
        assert mine == pytest.approx(theirs, abs=1e-5, nan_ok=True)


def as_boxes(votes):
    """Each vote a box of its own place for each label: IoU is 1 or 0."""
    x = votes.label * 100
    box = np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1)
    return Regions(votes.item, votes.label * 0, box), votes.annotator


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_alpha_of_boxes_that_are_labels_is_krippendorffs(seed):
    table = np.random.default_rng(seed).integers(-1, 3, (9, 4))
    item, annotator = np.nonzero(table >= 0)
    votes = Votes(item, annotator, table[item, annotator])
    want = krippendorff_alpha(votes, 3)
    assert box_alpha(*as_boxes(votes)) == pytest.approx(want, nan_ok=True)


def test_drawn_chance_is_near_all_of_it():
    table = np.random.default_rng(5).integers(0, 3, (400, 3))
    table[:, 1:] = np.where(np.arange(400)[:, None] % 3 > 0, table[:, :1], table[:, 1:])
    item, annotator = np.indices(table.shape).reshape(2, -1)
    votes = Votes(item, annotator, table.ravel())
    want = krippendorff_alpha(votes, 3)
    assert box_alpha(*as_boxes(votes)) == pytest.approx(want, abs=0.01)


def test_dealt_sheets_hold_whole_sheets_and_stay_in_bounds(monkeypatch):
    rng = np.random.default_rng(2)
    sheets = Sheets.of(rng.integers(0, 50, 3000), rng.integers(0, 4, 3000))
    monkeypatch.setattr("analysis.region_agreement._DEALT", 200)
    crowded = deal(sheets)[0]
    assert 100 < len(crowded) <= 200
    monkeypatch.undo()
    rows, dealt = deal(sheets, draws=100)
    assert len(dealt) == 200
    assert (np.bincount(dealt.task) == 2).all()
    for copy in range(200):
        mine = rows[dealt.of_region == copy]
        sheet = sheets.of_region[mine[0]]
        assert sorted(mine) == np.flatnonzero(sheets.of_region == sheet).tolist()


def test_alpha_is_1_for_the_same_boxes_and_about_0_for_boxes_dealt_at_random():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 30, (300, 2))
    box = np.concatenate([corner, corner + rng.uniform(20, 40, (300, 2))], axis=1)
    task, one = np.arange(300), np.zeros(300, dtype=int)
    both = np.concatenate([one, one + 1])
    same = Regions(np.tile(task, 2), np.zeros(600), np.tile(box, (2, 1)))
    assert box_alpha(same, both) == pytest.approx(1)
    mixed = Regions(np.tile(task, 2), np.zeros(600), np.concatenate([box, rng.permutation(box)]))
    assert box_alpha(mixed, both) == pytest.approx(0, abs=0.08)


def test_nothing_to_compare():
    none, nobody = drawn()
    empty = compare_boxes(none, nobody)
    assert len(empty) == 0
    assert [part.tolist() for part in annotator_quality(empty)] == [[], []]
    assert np.isnan(box_alpha(none, nobody))
    alone, somebody = drawn((0, 1, 0, 0, 0, 1, 1), (1, 2, 0, 0, 0, 1, 1))
    assert np.isnan(box_alpha(alone, somebody))
    flat, people = drawn((0, 1, 0, 3, 3, 3, 3), (0, 2, 0, 3, 3, 3, 3))
    assert compare_boxes(flat, people).agreement.tolist() == [1]
    sheets = Sheets.of(none.task, nobody)
    assert np.isnan(alpha(empty, compare(sheets, box_pairs(none, sheets))))
    with pytest.raises(ValueError, match="do not match"):
        Sheets.of(np.zeros(2, dtype=int), np.zeros(3, dtype=int))


def test_ten_thousand_boxes_in_one_task():
    rng = np.random.default_rng(4)
    corner = rng.uniform(0, 4000, (5000, 2))
    box = np.concatenate([corner, corner + 20], axis=1)
    regions = Regions(np.zeros(10_000), np.zeros(10_000), np.concatenate([box, box + 2]))
    got = compare_boxes(regions, np.repeat([0, 1], 5000))
    assert got.regions.tolist() == [10_000]
    assert got.f1[0] > 0.9
    assert got.mean_similarity[0] == pytest.approx(0.68, abs=0.02)
