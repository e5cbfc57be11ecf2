"""Predictions in Label Studio's JSON, read from sources that may send anything."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ml_backend.errors import ModelError
from ml_backend.upstream.base import Answer, Reply, UpstreamTask
from ml_backend.upstream.batches import SpoiledError

__all__ = ["excerpt", "read_replies", "read_reply", "to_json", "version_text"]

_EXCERPT: Final = 160
_VERSION_LENGTH: Final = 80
_UNVERSIONED: Final = "unversioned"

_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _EXCERPT

_Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Region(BaseModel):
    # Sizes, ids and what else a tool writes beside them are kept as they are.
    model_config = ConfigDict(extra="allow")

    from_name: str
    to_name: str
    type: str
    value: dict[str, Any]
    score: _Score | None = None


class _Prediction(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    result: list[_Region]
    score: _Score | None = None
    model_version: Any = None

    @field_validator("result", mode="before")
    @classmethod
    def _regions_only(cls, result: Any) -> Any:
        if not isinstance(result, list):
            return [] if result is None else result
        # Arrows between regions stand in the same list and say nothing that is scored.
        return [
            item
            for item in result
            if not (isinstance(item, dict) and item.get("type") == "relation")
        ]

    @field_validator("score")
    @classmethod
    def _given(cls, score: float | None) -> float | None:
        # Label Studio's SDK writes 0 where nobody gave a score.
        return score or None


def read_replies(
    name: str, tasks: Sequence[UpstreamTask], results: Any, version: str
) -> list[Reply]:
    """Read what an upstream says of a batch.

    Args:
        name: what the upstream is called in messages.
        tasks: the batch.
        results: one item per task, each one prediction, several, or nothing.
        version: the model version of predictions that name none.

    Raises:
        SpoiledError: when it is not one item per task.
    """
    if not isinstance(results, list):
        raise SpoiledError(
            f"model {name!r} answers {excerpt(results)} in place of a list of predictions; "
            "it must answer one per task"
        )
    if len(results) != len(tasks):
        raise SpoiledError(
            f"model {name!r} answers {len(results)} predictions for {len(tasks)} task(s); "
            "it must answer one per task"
        )
    return [
        read_reply(name, task.id, said, version) for task, said in zip(tasks, results, strict=True)
    ]


def read_reply(name: str, task: int, said: Any, version: str) -> Reply:
    """Read what an upstream says of one task: of several predictions the one scored highest."""
    try:
        read = [
            _Prediction.model_validate_json(to_json(one))
            for one in (said if isinstance(said, list) else [said])
            if one not in (None, {}, [])
        ]
    except ValidationError as error:
        return _unreadable(name, task, _first(error))
    except (ValueError, TypeError, RecursionError) as error:
        return _unreadable(name, task, f"it is not JSON: {error}")
    if not read:
        return None
    best = max(read, key=lambda one: one.score or 0.0)
    return Answer(
        [region.model_dump(exclude_unset=True) for region in best.result],
        best.score,
        version_text(best.model_version, version),
    )


def to_json(value: Any, *, allow_nan: bool = False) -> str:
    """Write JSON, the values of NumPy, pydantic and datetime included.

    Raises:
        ValueError: when a number is not finite and ``allow_nan`` is not set.
        TypeError: when something has no form in JSON.
        RecursionError: when it is nested without end.
    """
    return json.dumps(value, default=_plain, allow_nan=allow_nan)


def version_text(version: Any, default: str = _UNVERSIONED) -> str:
    """Return an upstream's model version as short printable text."""
    if version is None or isinstance(version, dict | list | bool):
        return default
    text = "".join(letter for letter in str(version)[:_VERSION_LENGTH] if letter.isprintable())
    return text.strip() or default


def excerpt(said: Any) -> str:
    """Return the beginning of anything that an upstream sent, safe to print."""
    if isinstance(said, bytes):
        said = " ".join(said[:_EXCERPT].decode(errors="replace").split())
    return _BRIEF.repr(said).encode("ascii", "backslashreplace").decode()


def _unreadable(name: str, task: int, why: str) -> ModelError:
    return ModelError(
        f"task {task}: the prediction of model {name!r} cannot be read: {why}; "
        "it must be a prediction as Label Studio imports it"
    )


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where} is {excerpt(problem['input'])}: {problem['msg']}"


def _plain(value: Any) -> Any:
    for name in ("model_dump", "tolist", "isoformat"):
        if hasattr(value, name):
            return getattr(value, name)()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
