"""Findings in words that a reviewer can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import Findings

__all__ = ["WORDS", "describe"]

#: How each kind is said, by what is labelled. ``given`` is the person's label, ``better`` the
#: suggested one, ``sure`` the model's confidence, ``overlap`` how far the two agree on the place.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "box": {
        "mislabelled": "labelled {given}, model says {better} ({sure:.2f})",
        "missing": "missing: {better}, model {sure:.2f}",
        "spurious": "spurious: {given}, model sees nothing there",
        "badly_drawn": "badly drawn: {given}, overlaps the model's box by {overlap:.0%} "
        "({sure:.2f})",
        "duplicate": "drawn twice: {given}",
        "disagreement": "annotators disagree: {given}, most likely {better}",
    },
    "span": {
        "mislabelled": "labelled {given}, model says {better} ({sure:.2f})",
        "missing": "missing: {better}, model {sure:.2f}",
        "spurious": "spurious: {given}, model sees no label there",
        "badly_drawn": "wrong boundary: {given}, shares {overlap:.0%} with the model's "
        "({sure:.2f})",
        "duplicate": "marked twice: {given}",
        "disagreement": "annotators disagree: {given}, most likely {better}",
    },
    "point": {
        "mislabelled": "swapped: labelled {given}, lies where the model has {better} ({sure:.2f})",
        "missing": "missing: {better}, model {sure:.2f}",
        "spurious": "spurious: {given}, model sees nothing there",
        "badly_drawn": "far off: {given}, {overlap:.0%} alike the model's ({sure:.2f})",
        "duplicate": "marked twice: {given}",
        "disagreement": "annotators disagree: {given}, most likely {better}",
    },
    "item": {
        "mislabelled": "labelled {given}, model says {better} ({sure:.2f})",
        "missing": "missing: {better}, model {sure:.2f}",
        "spurious": "labelled {given}, model sees none ({sure:.2f})",
        "duplicate": "labelled {given}, its duplicates {better}",
        "outlier": "outlier: unlike everything else labelled {given}",
        "disagreement": "annotators disagree: {given}, most likely {better}",
    },
}


def describe(
    findings: Findings,
    names: Sequence[str],
    *,
    given: NDArray[np.int32],
    confidence: NDArray[np.float32],
    overlap: NDArray[np.float32] | None = None,
    what: str = "box",
) -> list[str]:
    """Say each finding in plain words.

    Args:
        findings: F findings.
        names: label names.
        given: int32 (F,), the label that the person gave, or -1.
        confidence: float32 (F,), the model's confidence in its side, in [0, 1].
        overlap: float32 (F,), IoU or OKS of the person's region and the model's; for
            ``badly_drawn``.
        what: what is labelled: a key of ``WORDS``.

    Returns:
        one reason per finding, such as "labelled 3, model says 8 (0.97)".

    Raises:
        ValueError: when ``what`` is unknown or has no words for a kind of finding.
    """
    words = WORDS.get(what)
    if words is None:
        raise ValueError(f"what is {what!r}, expected one of {sorted(WORDS)}")
    unsaid = sorted(set(findings.kind.tolist()) - words.keys())
    if unsaid:
        raise ValueError(f"no words for kind {unsaid[0]!r} of {what!r}")
    shared = np.zeros(len(findings)) if overlap is None else overlap
    label = [*names, "?"]
    return [
        words[kind].format(given=label[mine], better=label[theirs], sure=sure, overlap=near)
        for kind, mine, theirs, sure, near in zip(
            findings.kind.tolist(),
            given.tolist(),
            findings.label.tolist(),
            confidence.tolist(),
            shared.tolist(),
            strict=True,
        )
    ]
