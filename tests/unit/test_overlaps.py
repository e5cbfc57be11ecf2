"""Second answers for one object."""

import tracemalloc

import numpy as np

from ml_backend.outlines import Outlines
from ml_backend.prediction.overlaps import surest


def boxes(*rows):
    """Rows of item, label, score, x, width; all are 10 high."""
    item, label, score, x, width = (np.array(column) for column in zip(*rows, strict=True))
    table = np.stack([x, 0 * x, width, 0 * x + 10, 0 * x], axis=1).astype(np.float64)
    return item, label.astype(np.int32), score.astype(np.float32), Outlines.of_table(table)


def left(rows, threshold):
    item, label, score, outline = boxes(*rows)
    return surest("box", item, label, score, outline, threshold).tolist()


def test_the_surest_of_one_label_and_input_stays():
    rows = [(0, 1, 0.6, 0, 10), (0, 1, 0.9, 1, 10), (0, 2, 0.5, 1, 10), (1, 1, 0.4, 1, 10)]
    assert left(rows, 0.5) == [False, True, True, True]
    assert left(rows, 0.9) == [True] * 4


def test_what_only_overlaps_one_that_goes_stays():
    rows = [(0, 1, 0.9, 0, 10), (0, 1, 0.8, 3, 10), (0, 1, 0.7, 6, 10)]
    assert left(rows, 0.5) == [True, False, True]


def test_it_is_greedy_suppression_of_many_boxes_one_by_one():
    random = np.random.default_rng(3)
    rows = [
        (n // 20, n % 2, float(score), int(x), 10)
        for n, (score, x) in enumerate(
            zip(random.permutation(100) / 100, random.integers(0, 40, 100), strict=True)
        )
    ]
    expected = [True] * 100
    for n in sorted(range(100), key=lambda n: -rows[n][2]):
        for m in range(100):
            if expected[n] and m != n and rows[m][:2] == rows[n][:2] and rows[m][2] < rows[n][2]:
                shared = max(0, 10 - abs(rows[n][3] - rows[m][3]))
                expected[m] &= shared / (20 - shared) <= 0.4
    assert left(rows, 0.4) == expected


def test_twenty_thousand_boxes_of_one_label_take_no_room_by_the_square():
    random = np.random.default_rng(0)
    x, y = random.uniform(0, 20_000, (2, 20_000))
    table = np.stack([x, y, 0 * x + 20, 0 * x + 20, 0 * x], axis=1)
    zero, score = np.zeros(20_000, dtype=np.int64), random.random(20_000).astype(np.float32)
    tracemalloc.start()
    stays = surest("box", zero, zero.astype(np.int32), score, Outlines.of_table(table), 0.3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 19_000 < stays.sum() < 20_000
    assert most < 200e6


def test_turned_boxes_are_compared_as_they_lie_and_points_are_left_alone():
    table = np.array([[0, 0, 100, 4, 45], [0, 0, 71, 71, 0.0]])
    where = Outlines.of_table(table)
    item, label, score = np.zeros(2, int), np.zeros(2, np.int32), np.array([0.9, 0.8], np.float32)
    assert surest("box", item, label, score, where, 0.5).all()
    points = Outlines.of_table(np.array([[1, 1, 0], [1, 1, 0.0]]))
    assert surest("point", item, label, score, points, 0.1).all()
