"""What changed since a task was last looked at, and what Label Studio was told of it."""

import numpy as np
import pytest

from ml_backend.scoring.page import PageScores
from ml_backend.scoring.told import told
from ml_backend.storage.looks import QUIET, UNKNOWN, LookBook, Looks
from ml_backend.storage.tables import Tables


def looks(tasks, stamp=5, setup=7, holds=1, told=QUIET, priority=np.nan, flagged=False):
    def column(value, dtype=np.int64):
        return np.full(len(tasks), value, dtype=dtype)

    return Looks(
        np.array(tasks, dtype=np.int64),
        *(column(value) for value in (stamp, setup, holds, told)),
        column(priority, np.float32),
        column(flagged, np.bool_),
    )


@pytest.fixture
def book(tmp_path):
    return LookBook(Tables(str(tmp_path)))


def states(tasks, stamp=5, holds=1):
    return np.full(len(tasks), stamp), np.full(len(tasks), holds)


def test_a_task_that_was_never_looked_at_has_changed(book):
    book.put(1, looks([2, 4]))
    found = book.get(1, np.array([1, 2, 3, 4, 5]))
    assert found.unchanged(*states(found.task), 7).tolist() == [False, True, False, True, False]
    assert found.told.tolist() == [UNKNOWN, QUIET, UNKNOWN, QUIET, UNKNOWN]


@pytest.mark.parametrize(
    ("state", "setup"),
    [
        (states([2], stamp=6), 7),
        (states([2], stamp=4), 7),
        (states([2], holds=0), 7),
        (states([2]), 8),
    ],
)
def test_another_stamp_another_number_of_predictions_or_another_setup_is_a_change(
    book, state, setup
):
    book.put(1, looks([2]))
    assert not book.get(1, np.array([2])).unchanged(*state, setup).any()


def test_the_newest_look_counts_and_a_forgotten_one_does_not(book):
    book.put(1, looks([2, 4]))
    book.put(1, looks([4], stamp=9, told=3, priority=0.5, flagged=True))
    book.forget(1, np.array([2]))
    found = book.get(1, np.array([2, 4]))
    assert (found.stamp.tolist(), found.told.tolist()) == ([0, 9], [UNKNOWN, 3])
    assert found.flagged.tolist() == [False, True]
    np.testing.assert_array_equal(found.priority, np.array([np.nan, 0.5], dtype=np.float32))
    assert found.digest() != looks([2, 4]).digest()


def scores(priority, reason):
    kinds = ["missing"] * len(priority)
    least = np.full(len(priority), 0.5, dtype=np.float32)
    said = list(reason)
    return PageScores(np.array(priority, dtype=np.float32), kinds, said, said, {}, least)


def test_of_what_is_below_the_threshold_or_unscored_nothing_is_told():
    found = scores([0.2, np.nan, 0.7], "abc")
    said = told(found)
    assert said[:2].tolist() == [QUIET, QUIET]
    assert said[2] not in (QUIET, UNKNOWN)


def test_what_is_told_is_another_thing_once_a_word_changes():
    first, other = told(scores([0.7, 0.7], "aa")), told(scores([0.8, 0.7], "ab"))
    assert (first == other).tolist() == [True, False]
