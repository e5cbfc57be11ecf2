"""Findings in words that a reviewer can act on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE, Findings

__all__ = ["describe"]


def describe(
    findings: Findings,
    names: Sequence[str],
    *,
    given: NDArray[np.int32],
    confidence: NDArray[np.float32],
    iou: NDArray[np.float32] | None = None,
) -> list[str]:
    """Say each finding in plain words.

    Args:
        findings: F findings.
        names: label names.
        given: int32 (F,), the label that the person gave, or -1.
        confidence: float32 (F,), the model's confidence in its side, in [0, 1].
        iou: float32 (F,), how far the person's box and the model's overlap; for ``badly_drawn``.

    Returns:
        one reason per finding, such as "labelled 3, model says 8 (0.97)".
    """
    overlap = np.zeros(len(findings)) if iou is None else iou

    def name(label: int) -> str:
        return names[label] if label != NONE else "?"

    def say(row: int) -> str:
        mine, theirs = name(int(given[row])), name(int(findings.label[row]))
        sure = f"{confidence[row]:.2f}"
        return {
            "mislabelled": f"labelled {mine}, model says {theirs} ({sure})",
            "missing": f"missing: {theirs}, model {sure}",
            "spurious": f"spurious: {mine}, model sees nothing there",
            "badly_drawn": f"badly drawn: {mine}, overlaps the model's box by "
            f"{overlap[row]:.0%} ({sure})",
            "duplicate": f"drawn twice: {mine}",
        }[str(findings.kind[row])]

    return [say(row) for row in range(len(findings))]
