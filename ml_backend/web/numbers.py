"""Numbers that callers name things by."""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge, Lt

__all__ = ["MOST", "Id"]

#: What browsers count to exactly; far more fits into the store's columns.
MOST: Final = 1 << 53

#: The id of a project, a task or an annotation.
Id = Annotated[int, Ge(0), Lt(MOST)]
