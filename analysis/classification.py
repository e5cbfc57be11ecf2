"""Wrong class labels, from a model's probabilities and from how neighbours are labelled.

One row's score depends on that row, its neighbours' labels and a ``Calibration`` alone: a task
scored by itself gets the score that it gets in a run over the whole project. With ``neighbors`` the
rows that they are have to be among those given; ``Votes`` are what is kept of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from analysis import probabilities
from analysis.findings import NONE, Findings
from analysis.neighbors import Neighbors, knn, neighbor_agreement
from analysis.recalibration import Recalibration, log_probs

__all__ = ["Calibration", "Votes", "find", "fit", "mistakenness"]

_TINY: Final = 1e-30
#: Probabilities, and labels, that a calibration is learnt from; more change it little.
_SAMPLE: Final = 1_000_000
_MOST_LABELS: Final = 20_000
#: Neighbours that are asked where only embeddings are given.
_NEIGHBORS: Final = 10
#: How much the strongest other class counts beside all others together.
_RIVAL: Final = 0.25
#: Weight of the recalibrated opinion beside the model's own, and the labels per class at which it
#: has half of that.
_RECALIBRATED: Final = 0.7
_LABELS_PER_CLASS: Final = 10
#: Weight of the neighbours where nothing could be learnt about them.
_UNLEARNT_VOTES: Final = 0.2
#: How many votes, spread over all classes, not knowing counts for beside the neighbours'.
_DOUBT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's probabilities relate to the labels of this project.

    Attributes:
        recalibration: learnt from the labels.
        votes: whether neighbours' labels take part.
    """

    recalibration: Recalibration
    votes: bool = False

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {**self.recalibration.to_arrays(), "votes": np.array(self.votes)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(Recalibration.from_arrays(arrays), bool(arrays["votes"]))


@dataclass(frozen=True, slots=True)
class Votes:
    """How the neighbours of N rows are labelled.

    Attributes:
        shares: float32 (N, K), sparse; rows sum to 1, or to 0 where no neighbour has a label.
        count: how many neighbours were asked.
    """

    shares: sparse.csr_array
    count: int

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]], neighbors: Neighbors, classes: int) -> Votes:
        """Ask the neighbours of N rows.

        Args:
            labels: int (N,), class of each row; -1 where nothing is labelled, which is no vote.
            neighbors: N rows.
            classes: K.

        Raises:
            ValueError: when lengths differ, naming the first row whose label is unknown.
        """
        shares = neighbor_agreement(labels, neighbors, classes)
        return cls(shares, neighbors.indices.shape[1])

    def __len__(self) -> int:
        return int(self.shares.shape[0])

    def take(self, rows: NDArray[np.integer[Any]]) -> Votes:
        """Return the chosen rows, in that order."""
        return Votes(self.shares[rows], self.count)

    def drawn(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return shares of some rows, float32 (B, K), drawn a little to even ones; sum to 1."""
        shares = self.shares[rows].toarray()
        voted = np.float32(self.count) * shares.any(axis=1, keepdims=True)
        drawn = (shares * voted + _DOUBT / shares.shape[1]) / (voted + _DOUBT)
        return np.asarray(drawn, dtype=np.float32)


def fit(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    embeddings: NDArray[np.floating[Any]] | None = None,
    neighbors: Neighbors | None = None,
    votes: Votes | None = None,
) -> Calibration:
    """Learn how the model's probabilities, and neighbours' labels, relate to the labels given.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        embeddings: float (N, D), what the rows look like; makes neighbours testify.
        neighbors: the same, already searched with ``analysis.neighbors.knn``.
        votes: the same, already asked; goes before the other two.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    asked = _asked(labels, probs.shape[1], embeddings, neighbors) if votes is None else votes
    rows = np.flatnonzero(labels != NONE)
    # By label and confidence: the sample then holds some of every kind, and does not depend on
    # the order that the rows came in.
    rows = rows[np.argsort(labels[rows] + probs[rows, labels[rows]].astype(np.float64))]
    most = min(len(rows), _MOST_LABELS, _SAMPLE // max(probs.shape[1], 1))
    rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    some = probs[rows]
    probabilities.each_block(some, lambda _rows, _block: None)
    drawn = None if asked is None else asked.drawn(rows)
    return Calibration(Recalibration.fit(labels[rows], some, drawn), asked is not None)


def mistakenness(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    embeddings: NDArray[np.floating[Any]] | None = None,
    neighbors: Neighbors | None = None,
    votes: Votes | None = None,
    calibration: Calibration | None = None,
) -> NDArray[np.float32]:
    """Return how likely each label is wrong.

    The odds of the other classes against the given one, by the model's probabilities as they are
    and as recalibrated on the labels that stand up to it (``analysis.recalibration``).

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        embeddings: float (N, D), what the rows look like; makes neighbours testify.
        neighbors: the same, already searched with ``analysis.neighbors.knn``.
        votes: the same, already asked; goes before the other two.
        calibration: what ``fit`` learnt; None learns it from these very rows.

    Returns:
        float32 (N,), in [0, 1], higher is more likely wrong; above 0.5 another class is the
        better answer. Where nothing is labelled it is the model's confidence: how likely a label
        is missing.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    asked = _asked(labels, probs.shape[1], embeddings, neighbors) if votes is None else votes
    trust = calibration or fit(labels, probs, votes=asked)
    return _judge(labels, probs, asked, trust)[0]


def find(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    tasks: NDArray[np.int64],
    embeddings: NDArray[np.floating[Any]] | None = None,
    neighbors: Neighbors | None = None,
    votes: Votes | None = None,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find mislabelled rows, and rows whose label is missing.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        tasks: int64 (N,), the task of each row.
        embeddings: float (N, D), what the rows look like; makes neighbours testify.
        neighbors: the same, already searched with ``analysis.neighbors.knn``.
        votes: the same, already asked; goes before the other two.
        calibration: what ``fit`` learnt; None learns it from these very rows.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``mislabelled`` or ``missing``, worst first; annotation is the row (``NONE``
        where the label is missing), prediction the row, label the best other class. The score is
        ``mistakenness``: above 0.5 is worth a look.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    tasks = np.asarray(tasks)
    if tasks.shape != labels.shape:
        raise ValueError(f"tasks {tasks.shape} and labels {labels.shape} do not match")
    asked = _asked(labels, probs.shape[1], embeddings, neighbors) if votes is None else votes
    trust = calibration or fit(labels, probs, votes=asked)
    score, other = _judge(labels, probs, asked, trust)
    rows = np.flatnonzero((score >= floor) & (other != NONE))
    rows = rows[np.argsort(-score[rows], kind="stable")]
    given = labels[rows] != NONE
    return Findings(
        tasks[rows],
        np.where(given, "mislabelled", "missing"),
        np.where(given, rows, NONE),
        rows,
        score[rows],
        other[rows],
    )


def _asked(
    labels: NDArray[np.integer[Any]],
    classes: int,
    embeddings: NDArray[np.floating[Any]] | None,
    neighbors: Neighbors | None,
) -> Votes | None:
    if neighbors is None and embeddings is not None:
        neighbors = knn(embeddings, _NEIGHBORS)
    if neighbors is None:
        return None
    if len(neighbors) != len(labels):
        raise ValueError(f"neighbors are of {len(neighbors)} rows, labels of {len(labels)}")
    return Votes.of(labels, neighbors, classes)


def _judge(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    votes: Votes | None,
    trust: Calibration,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Each row's score and best other class, ``NONE`` where there is no other class."""
    classes = probs.shape[1]
    learnt = trust.recalibration
    if len(learnt.offset) != classes:
        raise ValueError(f"calibration is of {len(learnt.offset)} classes, probs of {classes}")
    if votes is not None and len(votes) != len(labels):
        raise ValueError(f"votes are of {len(votes)} rows, labels of {len(labels)}")
    if learnt.rows and trust.votes and votes is None:
        raise ValueError("calibration was learnt with neighbours, but none are given")
    score = np.zeros(len(labels), dtype=np.float32)
    other = np.full(len(labels), NONE, dtype=np.int32)
    share = _RECALIBRATED * learnt.rows / max(learnt.rows + _LABELS_PER_CLASS * classes, 1)
    asked = votes if trust.votes or not learnt.rows else None

    def judge(rows: slice, block: NDArray[np.floating[Any]]) -> None:
        blank = labels[rows] == NONE
        score[rows] = np.where(blank, block.max(axis=1), 0)
        other[rows] = np.where(blank, block.argmax(axis=1), NONE)
        if classes < 2:
            return
        given = labels[rows].clip(min=0)
        drawn = None if asked is None else asked.drawn(rows)
        own, best = _odds(given, np.log(np.maximum(block, _TINY, dtype=np.float32)))
        logs = log_probs(block)
        if learnt.rows:
            evidence = logs if drawn is None else np.hstack([logs, log_probs(drawn)])
            ours, best = _odds(given, learnt.apply(evidence))
            weight = share * learnt.steady[given]
            own = weight * ours + (1 - weight) * own
        elif drawn is not None:
            own = (1 - _UNLEARNT_VOTES) * own + _UNLEARNT_VOTES * _odds(given, log_probs(drawn))[0]
        score[rows] = np.where(blank, score[rows], expit(own))
        other[rows] = np.where(blank, other[rows], best)

    probabilities.each_block(probs, judge)
    return score, other


def _odds(
    given: NDArray[np.integer[Any]], logits: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Log odds of the other classes against the given one, and the strongest of them.

    The other classes count mostly together and partly by the strongest; ``logits`` is overwritten.
    """
    own = logits[np.arange(len(given)), given]
    best, rival = probabilities.strongest_other(given, logits)
    # The strongest of two is the only other one: then both ways of counting agree.
    rest = rival + np.log(np.exp(logits - rival[:, None]).sum(axis=1))
    return ((1 - _RIVAL) * rest + _RIVAL * rival - own).astype(np.float32), best
