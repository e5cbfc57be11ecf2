"""What is wrong with settings, in words that name the key, its value and what is allowed."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection

from pydantic import BaseModel, ValidationError

__all__ = ["refusal"]

#: Mistakes that are named, and characters of a name.
_MOST, _LONGEST = 5, 60


def refusal(
    what: str, error: ValidationError, model: type[BaseModel], secret: Collection[str] = ()
) -> str:
    """Return what is wrong, in one line.

    Args:
        what: whose settings they are.
        error: what validation found.
        model: the settings as they should be.
        secret: names of settings whose values are not said.
    """
    said = []
    for problem in error.errors()[:_MOST]:
        key = ".".join(str(part)[:_LONGEST] for part in problem["loc"])
        # What JSON and YAML call it.
        allowed = problem["msg"].replace("tuple", "list").replace("Tuple", "List")
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(key, model.model_fields, n=1)
            hint = f", did you mean {close[0]!r}" if close else ""
            said.append(f"{key!r} is not a setting{hint}; allowed: {', '.join(model.model_fields)}")
        elif not key:
            said.append(allowed)
        elif problem["loc"][0] in secret:
            said.append(f"{key}: {allowed}")
        else:
            said.append(f"{key} is {reprlib.repr(problem['input'])}: {allowed}")
    return f"{what}: " + "; ".join(said)
