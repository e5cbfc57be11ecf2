"""How well each score finds label errors: Relook beside cleanlab's scores and FiftyOne's formulas.

``python -m benchmarks.quality`` prints the tables; the data lie beside the repository, in
``../shared/data`` or where RELOOK_SHARED points.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from benchmarks import quality_boxes, quality_classes, spans

__all__ = ["rows"]

#: The name that our own score has in every table.
OURS: Final = "relook"
_PARTS: Final = (quality_classes, quality_boxes, spans)


def rows() -> list[dict[str, Any]]:
    """Measure every score on every data set and seed; what cannot run here is left out."""
    return [row for part in _PARTS for row in part.rows()]


def _means(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of one score on one data set, joined over the seeds."""
    joined: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        joined[row["data"], row["score"]].append(row)
    for (data, score), some in joined.items():
        mean = {
            key: sum(row[key] for row in some) / len(some)
            for key in ("auroc", "ap", "precision_at_errors", "errors", "n")
        }
        mean["lift"] = mean["precision_at_errors"] / (mean["errors"] / mean["n"])
        yield {"data": data, "score": score, "seeds": len(some), **mean}


def main() -> None:
    """Print one table a data set, best average precision first, and who wins."""
    for part in _PARTS:
        if reason := part.skipped():
            print(f"skipped {part.__name__}: {reason}")
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _means(rows()):
        tables[row["data"]].append(row)
    verdicts = []
    for data, table in tables.items():
        table.sort(key=lambda row: -row["ap"])
        first = table[0]
        print(f"\n{data}: {first['errors']:.0f} errors in {first['n']:.0f}, {first['seeds']} seeds")
        print("| score | AUROC | AP | precision at the number of errors | lift |")
        print("|---|---|---|---|---|")
        for row in table:
            numbers = (row["auroc"], row["ap"], row["precision_at_errors"])
            cells = " | ".join(f"{number:.4f}" for number in numbers)
            print(f"| {row['score']} | {cells} | {row['lift']:.1f} |")
        ours = next(row for row in table if row["score"] == OURS)
        peer = next(row for row in table if not row["score"].startswith(OURS))
        verdicts.append(
            f"| {data} | {ours['ap']:.4f} | {peer['ap']:.4f} | {peer['score']} "
            f"| {ours['ap'] - peer['ap']:+.4f} |"
        )
    print("\n| data | Relook's AP | best peer's AP | which | difference |\n|---|---|---|---|---|")
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
