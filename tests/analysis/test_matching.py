import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.geometry import matching
from analysis.geometry.matching import box_iou, overlapping_pairs
from analysis.geometry.shapes import Polygons, iou
from analysis.regions import Regions


def boxes(*rows):
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16),
        ([0, 0, 1, 1], [1, 0, 2, 1], 0),
        ([5, 5, 5, 5], [5, 5, 5, 5], 1),
        ([5, 5, 5, 9], [5, 5, 5, 9], 1),
        ([5, 5, 5, 9], [5, 5, 5, 8], 0),
        ([5, 5, 5, 5], [0, 0, 9, 9], 0),
    ],
)
def test_iou_by_hand(a, b, wanted):
    assert box_iou(boxes(a), boxes(b))[0] == pytest.approx(wanted)


coordinate = st.integers(0, 20)
rows = st.lists(st.tuples(st.integers(0, 2), coordinate, coordinate, coordinate, coordinate))


def table(given_rows):
    return Regions(
        np.array([row[0] for row in given_rows]),
        np.zeros(len(given_rows)),
        boxes(*[[min(x, u), min(y, v), max(x, u), max(y, v)] for _, x, y, u, v in given_rows]),
    )


def brute(first, second, least):
    return {
        (i, j)
        for i in range(len(first))
        for j in range(len(second))
        if first.task[i] == second.task[j] and box_iou(first.box[[i]], second.box[[j]])[0] > least
    }


@pytest.mark.parametrize("crowded", [128, 0])
@pytest.mark.parametrize("block", [1 << 20, 7])
def test_pairs_are_those_of_every_box_with_every_other(monkeypatch, crowded, block):
    monkeypatch.setattr(matching, "_CROWDED", crowded)
    monkeypatch.setattr(matching, "_BLOCK", block)

    @settings(max_examples=60, deadline=None)
    @given(rows, rows, st.sampled_from([0.0, 0.3]))
    def check(mine, theirs, least):
        first, second = table(mine), table(theirs)
        pairs = overlapping_pairs(first, second, least)
        found = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        assert len(found) == len(set(found))
        assert set(found) == brute(first, second, least)
        assert (np.diff(pairs.first) >= 0).all()

    check()


@pytest.mark.parametrize("crowded", [128, 0])
def test_equal_boxes_without_area_are_a_pair(monkeypatch, crowded):
    monkeypatch.setattr(matching, "_CROWDED", crowded)
    flat = table([(0, 5, 5, 5, 5), (0, 0, 0, 9, 9), (1, 5, 5, 5, 5), (0, 5, 5, 5, 9)])
    pairs = overlapping_pairs(flat, flat, 0.5)
    assert pairs.first.tolist() == pairs.second.tolist() == [0, 1, 2, 3]
    assert pairs.iou.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("turned", [False, True])
def test_lines_of_text_leave_few_candidates_whichever_way_they_run(turned):
    at = np.arange(3000, dtype=np.float32)
    lines = np.stack([0 * at, at, 0 * at + 80, at + 0.9], axis=1)
    columns = lines[:, [1, 0, 3, 2]]
    box = np.concatenate([columns, lines] if turned else [lines, columns])
    many = Regions(np.repeat([0, 1], 3000), np.zeros(6000), box)
    order, begin, count = matching._candidates(many, many, touching=False)
    assert sorted(order) == list(range(6000))
    assert count.max() <= 2
    assert (order[begin] >= np.arange(6000) - 1).all()
    pairs = overlapping_pairs(many, many)
    assert pairs.first.tolist() == pairs.second.tolist() == list(range(6000))


def test_shapes_decide_where_both_tables_have_them():
    # Two triangles whose boxes overlap and which do not.
    table = Regions.from_shapes(
        np.zeros(2),
        np.zeros(2),
        Polygons.from_lists([[[0, 0], [4, 0], [0, 4]], [[4, 4], [2, 4], [4, 2]]]),
    )
    plain = Regions(table.task, table.label, table.box)
    assert len(overlapping_pairs(plain, plain)) == 4
    assert len(overlapping_pairs(table, plain)) == 4
    exact = overlapping_pairs(table, table)
    assert exact.first.tolist() == exact.second.tolist() == [0, 1]
    assert exact.iou.tolist() == [1, 1]


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_shapes_are_compared_block_by_block(monkeypatch, block):
    random = np.random.default_rng(0)
    boxes = random.uniform([0, 0, 2, 2, 0], [20, 20, 9, 9, 360], (60, 5))
    table = Regions.from_shapes(
        random.integers(0, 3, 60), np.zeros(60), Polygons.from_rotated(boxes)
    )
    shape = table.shape
    assert shape is not None
    wanted = {
        (i, j)
        for i in range(60)
        for j in range(60)
        if table.task[i] == table.task[j] and iou(shape, shape, *np.array([[i], [j]]))[0] > 0.3
    }
    monkeypatch.setattr(matching, "_BLOCK", block)
    pairs = overlapping_pairs(table, table, 0.3)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == wanted


def test_tables_without_rows_have_no_pairs():
    none = Regions.from_shapes(np.empty(0), np.empty(0), Polygons.from_lists([]))
    assert len(overlapping_pairs(none, none)) == 0
    assert len(overlapping_pairs(none, table([(0, 1, 1, 2, 2)]))) == 0
