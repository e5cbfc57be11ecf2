"""What the inputs that look like an input say of it: is it odd, a duplicate, labelled otherwise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis import duplicates
from analysis.classification import Votes
from analysis.findings import NONE, Findings
from analysis.neighbors import Neighbors
from analysis.outliers import outlier_scores

__all__ = ["Nearby", "far_out"]

#: Score from which an input is named odd: six robust deviations out. The farthest of 540 clean
#: digits of the demo scores 0.6, of 60 noises, photos and inverted digits all but one 0.97.
_ODD: Final = 0.95
#: Among fewer inputs, what is usual is a guess.
_FEW: Final = 30
#: Neighbours whose labels are asked.
_VOTERS: Final = 10
_COLUMNS: Final = ("task", "digest", "known", "outlier", "given", "other", "share")


@dataclass(frozen=True, slots=True)
class Nearby:
    """What was learnt of T inputs from their nearest neighbours in the project.

    A row holds for the input and the label that it was learnt with, which stand beside it; what has
    another by now is told from it.

    Attributes:
        task: int64 (T,), task ids.
        digest: int64 (T,), stands for the input, see ``embedding_store.digest_of``.
        known: bool (T,), whether anything is known of the input; else its row says nothing.
        outlier: float32 (T,), how far out it lies, in [0, 1].
        given: int32 (T,), the one label that people gave it, -1 where none or several.
        other: int32 (T,), the label that its duplicates have instead, -1 where they agree.
        share: float32 (T,), how much of the evidence is for ``other``, in [0.5, 1].
        votes: how its neighbours are labelled.
    """

    task: NDArray[np.int64]
    digest: NDArray[np.int64]
    known: NDArray[np.bool_]
    outlier: NDArray[np.float32]
    given: NDArray[np.int32]
    other: NDArray[np.int32]
    share: NDArray[np.float32]
    votes: Votes

    @classmethod
    def learn(
        cls,
        task: NDArray[np.int64],
        digest: NDArray[np.int64],
        neighbors: Neighbors,
        given: NDArray[np.int32],
        known_labels: NDArray[np.bool_],
    ) -> Self:
        """Learn it from a whole project.

        Args:
            task: int64 (T,), task ids.
            digest: int64 (T,), what stands for each input.
            neighbors: T rows.
            given: int32 (T,), the one label that people gave each input, -1 where none or several.
            known_labels: bool (K,), labels that the model knows; the others do not vote.
        """
        same = duplicates.groups(neighbors, within=duplicates.near(neighbors))
        # Not the model's opinion: of two labels of one thing a person should see both.
        found = duplicates.find(given, same, tasks=task)
        other, share = np.full(len(task), NONE, dtype=np.int32), np.zeros(len(task))
        other[found.annotation], share[found.annotation] = found.label, found.score
        voting = np.where(np.append(known_labels, False)[given], given, NONE)
        few = Neighbors(neighbors.indices[:, :_VOTERS], neighbors.distances[:, :_VOTERS])
        return cls(
            task,
            digest,
            np.ones(len(task), dtype=np.bool_),
            far_out(neighbors),
            given.astype(np.int32),
            other,
            share.astype(np.float32),
            Votes.of(voting, few, len(known_labels)),
        )

    def __len__(self) -> int:
        return len(self.task)

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Nearby:
        """Return the chosen rows, in that order."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Nearby(**columns, votes=self.votes.take(np.arange(len(self))[rows]))

    def of(self, task: NDArray[np.int64], digest: NDArray[np.int64]) -> Nearby:
        """Return what is known of some inputs, in their order; nothing of those not among these."""
        return replace(self._where(self.digest, digest), task=task, digest=digest)

    def of_tasks(self, task: NDArray[np.int64]) -> Nearby:
        """Return what is known of some tasks' inputs, whatever they are, in their order."""
        return replace(self._where(self.task, task), task=task)

    def _where(self, column: NDArray[np.int64], wanted: NDArray[np.int64]) -> Nearby:
        order = np.argsort(column, kind="stable")
        row = np.append(order, len(self))[np.searchsorted(column, wanted, sorter=order)]
        found = (row < len(self)) & (np.append(column, 0)[row] == wanted)
        rows = np.where(found, row, len(self))
        return Nearby.concatenate([self, _blank(self.votes.shares.shape[1])]).take(rows)

    def remarks(self, given: NDArray[np.int32]) -> Findings:
        """Return what is odd about U labelled units; this has a row for each of them.

        Args:
            given: int32 (U,), the label that each unit has by now, -1 where none.

        Returns:
            rows of kind ``outlier`` and ``duplicate``; task and annotation are the unit.
        """
        labelled = self.known & (given != NONE)
        odd = np.flatnonzero(labelled & (self.outlier >= _ODD))
        twin = np.flatnonzero(labelled & (self.other != NONE) & (given == self.given))
        unit = np.concatenate([odd, twin])
        return Findings(
            unit,
            np.array(["outlier"] * len(odd) + ["duplicate"] * len(twin), dtype=np.str_),
            unit,
            np.full(len(unit), NONE),
            np.concatenate([self.outlier[odd], self.share[twin]]),
            np.concatenate([np.full(len(odd), NONE, np.int32), self.other[twin]]),
        )

    @classmethod
    def concatenate(cls, parts: list[Nearby]) -> Nearby:
        """Stack several; there is at least one."""
        shares = sparse.vstack([part.votes.shares for part in parts], format="csr")
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        count = max(part.votes.count for part in parts)
        return Nearby(**columns, votes=Votes(sparse.csr_array(shares), count))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        shares = self.votes.shares
        return {
            **{name: getattr(self, name) for name in _COLUMNS},
            **{"vote": shares.data, "voted": shares.indices, "voters": shares.indptr},
            "shape": np.array([self.votes.count, shares.shape[1]]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Nearby:
        """Return what ``to_arrays`` gave."""
        count, classes = arrays["shape"].tolist()
        columns: dict[str, Any] = {name: arrays[name] for name in _COLUMNS}
        parts = (arrays["vote"], arrays["voted"], arrays["voters"])
        shares = sparse.csr_array(parts, shape=(len(arrays["task"]), classes))
        return Nearby(**columns, votes=Votes(shares, count))


def _blank(classes: int) -> Nearby:
    """One row that says nothing."""
    return Nearby(
        task=np.full(1, NONE, dtype=np.int64),
        digest=np.zeros(1, dtype=np.int64),
        known=np.zeros(1, dtype=np.bool_),
        outlier=np.zeros(1, dtype=np.float32),
        given=np.full(1, NONE, dtype=np.int32),
        other=np.full(1, NONE, dtype=np.int32),
        share=np.zeros(1, dtype=np.float32),
        votes=Votes(sparse.csr_array((1, classes), dtype=np.float32), 0),
    )


def far_out(neighbors: Neighbors) -> NDArray[np.float32]:
    """Return how far out each of T inputs lies, float32 (T,), in [0, 1]; among few, none does."""
    if len(neighbors) < _FEW:
        return np.zeros(len(neighbors), dtype=np.float32)
    return outlier_scores(neighbors)
