"""Votes of several annotators for the tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.crowd.votes import Votes
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
