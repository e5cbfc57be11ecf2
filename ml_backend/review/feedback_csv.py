"""The report on annotators as CSV: one row per annotator, and one per pair of labels."""

from __future__ import annotations

import csv
import io
from typing import Final

from ml_backend.review.feedback import Report

__all__ = ["as_csv"]

_COLUMNS: Final = (
    *("annotator", "id", "tasks", "annotations", "findings", "confirmed", "kept", "open"),
    *("error_share", "low", "high", "verdicts"),
    *("control", "given", "better", "labelled", "confirmed_here", "suspected_here", "examples"),
)
#: What spreadsheets take for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(found: Report) -> str:
    """Return it as CSV text; cells that a spreadsheet would run are quoted with an apostrophe."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for one in found.annotators:
        counts = (one.id, one.tasks, one.annotations, one.findings, one.confirmed, one.kept)
        share = (one.share.share, one.share.low, one.share.high, one.share.verdicts)
        begin = [_safe(one.name), *counts, one.open, *("" if n is None else n for n in share)]
        rows.writerow([*begin, *[""] * 7])
        for pair in one.confusions:
            names = [_safe(name) for name in (pair.control, pair.given, pair.better)]
            examples = " ".join(str(task) for task in pair.tasks)
            rows.writerow([*begin, *names, pair.labelled, pair.confirmed, pair.suspected, examples])
    return text.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
