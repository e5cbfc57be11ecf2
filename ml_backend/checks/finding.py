"""What a check found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ml_backend.errors import RelookError

__all__ = ["Finding", "Findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: what was looked at.
        well: whether it is as it should be; None where it could not be looked at.
        said: what was found, and where it is not well the mend.
    """

    what: str
    well: bool | None
    said: str


@dataclass(slots=True)
class Findings:
    """The report so far."""

    lines: list[Finding] = field(default_factory=list)

    def add(self, what: str, well: bool | None, said: str) -> None:
        """Write a line."""
        self.lines.append(Finding(what, well, said))

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Turn an error inside into a line: ours name the mend."""
        try:
            yield
        except RelookError as error:
            self.add(what, False, str(error))
        except Exception as error:
            self.add(what, False, f"{type(error).__name__}: {error}")

    @property
    def well(self) -> bool:
        """Whether nothing fails."""
        return all(line.well is not False for line in self.lines)
