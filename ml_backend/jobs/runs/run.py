"""A run over a project, as everyone sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["ENDED", "STAGES", "Run"]

ENDED: Final = ("done", "failed", "superseded", "cancelled")
#: What a run goes through, in order.
STAGES: Final = ("listing", "predicting", "fitting", "scoring", "finishing", "projecting")
#: A rate over less than this is chance.
_LEAST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one project as it stands.

    Attributes:
        id: the run.
        project: Label Studio's project id.
        over: what of the project was chosen, "" for all of it.
        state: queued, running, done, failed, cancelled or superseded (a newer run took its place).
        stage: what it is at: one of ``STAGES``, or done.
        attempt: how often it was taken up again.
        done: tasks done in this stage.
        total: tasks of the project.
        flagged: tasks that need review, once scored.
        rate: tasks per second in this stage, 0 while that is not known.
        left: seconds until this stage ends at that rate, None while that is not known.
        started: seconds since 1970.
        ended: seconds since 1970, 0 while it goes on.
        errors: task id (or "run") to what is wrong and the mend.
        log: what happened, oldest first.
    """

    id: str
    project: int
    over: str
    state: str
    stage: str
    attempt: int
    done: int
    total: int
    flagged: int
    rate: float
    left: float | None
    started: float
    ended: float
    errors: Mapping[str, str]
    log: tuple[str, ...]

    @property
    def at(self) -> str:
        """The stage whose jobs move it: one that is taken up where it stopped is listed first."""
        return STAGES[0] if self.state == "queued" else self.stage

    @classmethod
    def of(
        cls,
        run: str,
        field: Mapping[str, str],
        errors: Mapping[str, str],
        log: Sequence[str],
        now: float,
    ) -> Self:
        """Take a run out of what is written down of it, see ``RunBook``.

        Args:
            run: its id.
            field: everything but its errors and its log.
            errors: see above.
            log: see above.
            now: seconds since 1970.
        """
        done, total = int(field["done"]), int(field["total"])
        rate = _rate(field, now)
        return cls(
            id=run,
            project=int(field["project"]),
            over=field.get("over", ""),
            state=field["state"],
            stage=field["stage"],
            attempt=int(field["attempt"]),
            done=done,
            total=total,
            flagged=int(field["flagged"]),
            rate=rate,
            left=(total - done) / rate if rate else None,
            started=float(field["started"]),
            ended=float(field["ended"]),
            errors=errors,
            log=tuple(log),
        )


def _rate(field: Mapping[str, str], now: float) -> float:
    if field["state"] != "running" or float(field["stage_began"]) == 0:
        return 0.0
    spent = now - float(field["stage_began"])
    return (int(field["done"]) - int(field["stage_base"])) / spent if spent > _LEAST_S else 0.0
