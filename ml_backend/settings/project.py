"""What a project's admin sets, as the model connection's extra params."""

from __future__ import annotations

import json
import reprlib
from typing import Annotated, Any, Final, Literal, cast, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from ml_backend.errors import SettingsError
from ml_backend.settings.refusal import refusal

__all__ = [
    "Kind",
    "ProjectSettings",
    "QueueKind",
    "Touched",
    "project_settings",
    "touched_by",
]

#: ``analysis.findings.KINDS``.
Kind = Literal[
    "mislabelled",
    "missing",
    "spurious",
    "badly_drawn",
    "duplicate",
    "outlier",
    "disagreement",
]

#: Why a task can be in the queue: what was found, or that somebody flagged it.
QueueKind = Literal[Kind, "flagged"]

#: What is done again when a setting changes: pre-labels and scores of every task, the queue by
#: the scores that are known, or nothing.
Touched = Literal["predictions", "queue", "nothing"]

_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=1)]
# JSON and YAML know lists alone.
_Kinds = Annotated[tuple[Kind, ...], Field(strict=False)]

#: What Label Studio's dialog shows of settings that are no text, and sends when it is saved.
_UNSHOWN: Final = "[object Object]"
_PREDICTIONS: Final[dict[str, JsonValue]] = {"touches": "predictions"}
_QUEUE: Final[dict[str, JsonValue]] = {"touches": "queue"}


class ProjectSettings(BaseModel):
    """What a project's admin sets, as the model connection's extra params (JSON or YAML)."""

    # Strict, as the JSON Schema is: `true` is no number, and "0.5" is none.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str = Field(
        "",
        description="Model file in the service's model folder; a tag's model_path goes first.",
        json_schema_extra=_PREDICTIONS,
    )
    embedder: str = Field(
        "",
        max_length=500,
        description="Model whose embeddings find outliers, duplicates and odd neighbours: timm:, "
        "transformers: or sentence-transformers: and a name, or an .onnx file. Empty: the model's "
        "own features, where it has some (.pt of Ultralytics). none: no embeddings.",
        json_schema_extra=_PREDICTIONS,
    )
    score_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Lowest confidence of a pre-label; a label's in class_thresholds goes first, "
        "then a tag's own model_score_threshold.",
        json_schema_extra=_PREDICTIONS,
    )
    class_thresholds: dict[str, _Share] = Field(
        {},
        description="Lowest confidence of a pre-label by label, such as "
        '{"car": 0.3, "truck": 0.7}.',
        json_schema_extra=_PREDICTIONS,
    )
    iou_threshold: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Of pre-labelled boxes, polygons or masks of one label that overlap by more "
        "(IoU), only the surest stays. 1: all that the model gives.",
        json_schema_extra=_PREDICTIONS,
    )
    checks: _Kinds = Field(
        get_args(Kind),
        min_length=1,
        description="Kinds of suspicion that are looked for.",
        json_schema_extra=_QUEUE,
    )
    review_threshold: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Priority from which a task needs review.",
        json_schema_extra=_QUEUE,
    )
    kind_thresholds: dict[Kind, _Positive] = Field(
        {},
        description="Score from which a suspicion of one kind makes a task need review, in place "
        'of review_threshold, such as {"missing": 0.8}. Below it, it is not counted.',
        json_schema_extra=_QUEUE,
    )
    review_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Largest share of the labelled tasks that may need review, the most urgent "
        "first; found by a full run. Tasks of equal priority go together.",
        json_schema_extra=_QUEUE,
    )
    queue_tab: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        "Needs review",
        min_length=1,
        max_length=100,
        description="Title of the queue's Data Manager tab when it is made, and what those of "
        "kind_tabs begin with. A tab that stands is renamed in Label Studio.",
        # Of spaces alone nothing is left.
        json_schema_extra={"pattern": r"\S"},
    )
    kind_tabs: Annotated[
        _Kinds,
        BeforeValidator(
            lambda said: () if said is False or said is None else said,
            json_schema_input_type=tuple[Kind, ...] | Literal[False] | None,
        ),
    ] = Field(
        cast(Any, False),
        validate_default=True,
        description="Kinds of findings that have a tab of their own, or false for none. A tab "
        "that is no longer asked for stays until somebody deletes it in Label Studio.",
    )
    approve_confidence: float = Field(
        0.9,
        ge=0.5,
        le=1,
        description="Confidence from which the model's word is enough for bulk approval, unless "
        "another is asked for.",
    )
    # On 300 of the demo's scenes, at a confidence of 0.8: 0.1 approves 227, 99.1 % of them right;
    # 0.02 approves 216 (99.5 %), 0.3 approves 235 (97.4 %), and to look at what is sure alone
    # approves all (77.3 %).
    approve_half_seen: float = Field(
        0.1,
        gt=0,
        le=0.5,
        description="Confidence from which something that the model sees, but is not sure of, "
        "keeps a task from bulk approval; weaker ones are taken for noise. A higher one approves "
        "more tasks, and more that lack a region.",
    )
    approve_outlier: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Outlier score from which a task's input is too unlike all others for bulk "
        "approval; the review page shows it. A higher one approves more tasks that the model was "
        "not made for.",
    )
    approve_without: tuple[str, ...] = Field(
        (),
        strict=False,
        description='Labels that bulk approval may go without, such as ["unclear"]: the model '
        "has no class for them, so it never approves one, and approves as something else, or not "
        "at all, what people would give it. Unless it is named here, such a label keeps all tasks "
        "from bulk approval.",
    )
    batch_every: int = Field(
        0,
        ge=0,
        description="As soon as so many flagged tasks are in no relabel batch, they are sent as "
        "one. What was in a batch before, skipped or withdrawn, waits until its labels change. "
        "0: only by relook batch.",
    )
    batch_size: int = Field(
        0,
        ge=0,
        description="Most tasks that a batch takes, the most urgent first, unless it is ordered "
        "with --top or --task. 0: all.",
    )
    batch_to: str = Field(
        "",
        pattern=r"^(|new|here|[1-9][0-9]{0,14})$",
        description="Where batches go, unless they are ordered with --to: a project's id, new for "
        "a new project each time, here for a tab of the project itself. Empty: the relabel "
        "project that stands, made if need be. Into a project named by its id batches go by "
        "themselves only after somebody who may change it has sent one there.",
    )
    analyze_every_hours: int = Field(
        0,
        ge=0,
        le=8760,
        description="Hours after which a full run begins by itself. 0: only on Start training or "
        "relook analyze.",
    )
    analyze_on_change: bool = Field(
        True,
        description="Whether a change of these settings or of the labelling config begins a run, "
        "once the project has been analysed; it looks again at what the change touches.",
    )
    field_prefix: str = Field(
        "relook",
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,30}$",
        description="What the names of Relook's fields in the task's data begin with. It stays as "
        "it is once the project has been analysed.",
        json_schema_extra=_PREDICTIONS,
    )

    def touching(self, *what: Touched) -> str:
        """Return the settings whose change makes these things out of date, as JSON text."""
        names = {name for name in type(self).model_fields if touched_by(name) in what}
        return self.model_dump_json(include=names)


def touched_by(name: str) -> Touched:
    """Return what a change of one of a project's settings makes out of date."""
    extra = ProjectSettings.model_fields[name].json_schema_extra
    touched = extra.get("touches") if isinstance(extra, dict) else None
    return cast(Touched, touched or "nothing")


def project_settings(extra_params: dict[str, Any] | str | None) -> ProjectSettings:
    """Read a model connection's extra params: a dict, JSON or YAML text, or nothing.

    Raises:
        SettingsError: naming each key that is wrong, its value and what is allowed.
    """
    if isinstance(extra_params, str):
        extra_params = _from_text(extra_params)
    if extra_params is None:
        return ProjectSettings()
    if not isinstance(extra_params, dict):
        raise SettingsError(
            f'extra params must be a JSON object such as {{"model": "yolo.pt"}}, '
            f"not {reprlib.repr(extra_params)}"
        )
    try:
        return ProjectSettings.model_validate(extra_params)
    except ValidationError as error:
        raise SettingsError(refusal("extra params", error, ProjectSettings)) from error


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for more than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def _from_text(text: str) -> Any:
    if text.strip() == _UNSHOWN:
        raise SettingsError(
            f"extra params are {_UNSHOWN}: so Label Studio's dialog shows what a program has set; "
            'type them anew, as JSON such as {"model": "yolo.pt"}'
        )
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        pass
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"extra params are neither JSON nor YAML without aliases: {text[:80]!r}"
        ) from error
