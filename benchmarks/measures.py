"""Where the evaluation data lie, and how a ranking is measured against the truth."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

__all__ = ["SHARED", "measure", "missing", "no_data"]

SHARED: Final = (
    Path(os.environ.get("RELOOK_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
)


def no_data(folder: Path) -> str | None:
    """Why there is nothing to measure on, or None."""
    return None if folder.is_dir() else f"no data at {folder}"


def missing(folder: Path) -> str | None:
    """Why quality cannot be measured beside the peers on the data in a folder, or None."""
    if reason := no_data(folder):
        return reason
    if find_spec("cleanlab") is None:
        return "cleanlab is not installed"
    return None


def measure(truth: NDArray[np.bool_], score: NDArray[Any]) -> dict[str, Any]:
    """Return AUROC, average precision and precision at the number of errors."""
    errors = int(truth.sum())
    first = np.argsort(-score, kind="stable")[:errors]
    return {
        "auroc": float(roc_auc_score(truth, score)),
        "ap": float(average_precision_score(truth, score)),
        "precision_at_errors": float(truth[first].mean()),
        "errors": errors,
        "n": len(truth),
    }
