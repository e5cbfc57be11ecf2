"""The report on annotators as CSV.

One row per annotator, and below it one per pair of labels that they mix up, per week, and per
colleague who labelled some of the same tasks; each repeats what is said of the annotator.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from ml_backend.review.feedback import Annotator, Confusion, Pair, Report, Week

__all__ = ["as_csv"]

_COLUMNS: Final = (
    *("annotator", "id", "tasks", "annotations", "findings", "confirmed", "kept", "open"),
    *("error_share", "low", "high", "verdicts"),
    *("control", "given", "better", "labelled", "confirmed_here", "suspected_here", "examples"),
    *("week", "week_annotations", "week_errors", "week_error_share"),
    *("colleague", "shared_tasks", "agreement", "kappa"),
)
#: What spreadsheets take for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(found: Report) -> str:
    """Return it as CSV text; cells that a spreadsheet would run are quoted with an apostrophe."""
    text = io.StringIO()
    rows = csv.DictWriter(text, _COLUMNS)
    rows.writeheader()
    for one in found.annotators:
        begin = _of_annotator(one)
        rows.writerow(begin)
        rows.writerows(begin | _of_confusion(pair) for pair in one.confusions)
        rows.writerows(begin | _of_week(week) for week in one.weeks)
        for tag in found.agreement:
            pairs = (pair for pair in tag.pairs if one.name in (pair.first, pair.second))
            rows.writerows(begin | _of_pair(tag.control, pair, one.name) for pair in pairs)
    return text.getvalue()


def _of_annotator(one: Annotator) -> dict[str, Any]:
    return {
        "annotator": _safe(one.name),
        "id": one.id,
        "tasks": one.tasks,
        "annotations": one.annotations,
        "findings": one.findings,
        "confirmed": one.confirmed,
        "kept": one.kept,
        "open": one.open,
        "error_share": one.share.share,
        "low": one.share.low,
        "high": one.share.high,
        "verdicts": one.share.verdicts,
    }


def _of_confusion(pair: Confusion) -> dict[str, Any]:
    return {
        "control": _safe(pair.control),
        "given": _safe(pair.given),
        "better": _safe(pair.better),
        "labelled": pair.labelled,
        "confirmed_here": pair.confirmed,
        "suspected_here": pair.suspected,
        "examples": " ".join(str(task) for task in pair.tasks),
    }


def _of_week(week: Week) -> dict[str, Any]:
    return {
        "week": week.week,
        "week_annotations": week.annotations,
        "week_errors": week.errors,
        "week_error_share": week.share.share,
    }


def _of_pair(control: str, pair: Pair, name: str) -> dict[str, Any]:
    return {
        "control": _safe(control),
        "colleague": _safe(pair.second if pair.first == name else pair.first),
        "shared_tasks": pair.tasks,
        "agreement": pair.agreement,
        "kappa": pair.kappa,
    }


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
