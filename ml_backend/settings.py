"""Settings: the service's from the environment, a project's from its model connection."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast, get_args

import yaml
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.errors import SettingsError

__all__ = [
    "Kind",
    "ProjectSettings",
    "ServiceSettings",
    "Touched",
    "project_settings",
    "service_settings",
    "touched_by",
    "variable",
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


class ServiceSettings(BaseSettings):
    """What the owner of the machine sets, by environment variables."""

    model_config = SettingsConfigDict(
        env_prefix="RELOOK_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    label_studio_url: str = Field(
        "",
        validation_alias=AliasChoices("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST"),
        description="Address of Label Studio, as this machine reaches it.",
    )
    label_studio_api_key: SecretStr | None = Field(
        None,
        validation_alias="LABEL_STUDIO_API_KEY",
        description="Personal access token of the Label Studio user that Relook acts as.",
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("RELOOK_REDIS_URL", "REDIS_URL"),
        description="Address of Redis. Empty: `relook start` runs a Redis of its own.",
    )
    data_dir: Path = Field(
        Path(".relook"), description="Folder of what can be computed again: predictions, images."
    )
    store: str = Field(
        "",
        description="Where predictions, labels and scores are kept: a folder, also a shared one, "
        "or an address such as s3://bucket/folder. Empty: below the data folder.",
    )
    model_dir: Path = Field(
        Path("models"), description="The one folder that model files are loaded from."
    )
    model: str = Field("", description="Model used where neither project nor tag names one.")
    host: str = Field("127.0.0.1", description="Address that the backend listens on.")
    port: int = Field(9090, ge=0, le=65535, description="Port that the backend listens on.")
    basic_auth_user: str = Field(
        "",
        pattern=r"^[^:]*$",
        description="User that Label Studio signs in as, as in the model connection's Basic auth. "
        "Empty: whoever reaches the port is let in.",
    )
    basic_auth_pass: SecretStr | None = Field(
        None,
        min_length=16,
        description="Its password, at least 16 characters, so that nobody guesses it.",
    )
    body_max_mb: int = Field(128, ge=1, description="Largest request body, in MiB.")
    media_hosts: tuple[str, ...] = Field(
        (), description="Hosts besides Label Studio that images may be fetched from (JSON list)."
    )
    model_hosts: tuple[str, ...] = Field(
        (),
        description="Other ML backends that may be asked, as host or host:port (JSON list).",
    )
    model_classes: tuple[str, ...] = Field(
        (),
        description="Model classes that may be run, as package.module:Class (JSON list).",
    )
    image_max_mb: int = Field(64, ge=1, description="Largest image file that is read, in MiB.")
    image_max_megapixels: int = Field(200, ge=1, description="Largest image that is decoded.")
    worker_max_jobs: int = Field(
        1000, ge=0, description="Jobs after which a worker starts afresh; 0: never."
    )
    worker_max_mb: int = Field(
        0, ge=0, description="Memory above which a worker starts afresh, in MiB; 0: never."
    )
    reconcile_s: int = Field(
        600, ge=10, description="Seconds between two searches for events that never arrived."
    )
    image_cache_mb: int = Field(
        2048, ge=0, description="Disk for files fetched before, in MiB; 0: none."
    )
    threads: int = Field(0, ge=0, description="CPU threads of the model; 0: one per core.")
    model_memory_mb: int = Field(
        4096, ge=1, description="Memory that loaded models may take together, in MiB."
    )
    downloads: bool = Field(
        False, description="Whether official weights may be downloaded when a project names them."
    )

    @model_validator(mode="after")
    def _user_and_password(self) -> Self:
        if bool(self.basic_auth_user) != (self.basic_auth_pass is not None):
            raise ValueError(
                "RELOOK_BASIC_AUTH_USER and RELOOK_BASIC_AUTH_PASS go together: set both or none"
            )
        return self

    @property
    def store_location(self) -> str:
        """Where the store lies: a folder's path or an address of object storage."""
        return self.store or str(self.data_dir.resolve() / "store")

    def environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings, secrets included."""
        return {
            variable(name): _as_text(getattr(self, name))
            for name in type(self).model_fields
            if getattr(self, name) is not None
        }


def variable(name: str) -> str:
    """Return the environment variable of one of the service's settings."""
    alias = ServiceSettings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias or f"RELOOK_{name.upper()}")


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.resolve())
    return value if isinstance(value, str) else json.dumps(value)


#: What is done again when a setting changes: pre-labels and scores of every task, the queue by
#: the scores that are known, or nothing.
Touched = Literal["predictions", "queue", "nothing"]

_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=1)]

_PREDICTIONS: Final[dict[str, JsonValue]] = {"touches": "predictions"}
_QUEUE: Final[dict[str, JsonValue]] = {"touches": "queue"}


class ProjectSettings(BaseModel):
    """What a project's admin sets, as the model connection's extra params (JSON or YAML)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    checks: tuple[Kind, ...] = Field(
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
    queue_tab: str = Field(
        "Needs review", min_length=1, description="Title of the queue's Data Manager tab."
    )
    kind_tabs: Annotated[
        tuple[Kind, ...],
        BeforeValidator(
            lambda said: said or (), json_schema_input_type=tuple[Kind, ...] | Literal[False]
        ),
    ] = Field(
        cast(Any, False),
        validate_default=True,
        description="Kinds of findings that have a tab of their own, or false for none.",
    )
    batch_every: int = Field(
        0,
        ge=0,
        description="As soon as so many flagged tasks are in no relabel batch, they are sent as "
        "one. 0: only by relook batch.",
    )
    batch_size: int = Field(
        0,
        ge=0,
        description="Most tasks that a batch takes, the most urgent first, unless it is ordered "
        "with --top or --task. 0: all.",
    )
    batch_to: str = Field(
        "",
        pattern=r"^(|new|here|[1-9][0-9]*)$",
        description="Where batches go, unless they are ordered with --to: a project's id, new for "
        "a new project each time, here for a tab of the project itself. Empty: the relabel "
        "project that stands, made if need be.",
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
        description="What the names of Relook's fields in the task's data begin with.",
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


@cache
def service_settings() -> ServiceSettings:
    """Read the environment, once per process.

    Raises:
        SettingsError: naming each variable that is wrong.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        raise SettingsError(_explain("RELOOK_ settings", error, ServiceSettings)) from error


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
            f"not {str(extra_params)[:80]!r}"
        )
    try:
        return ProjectSettings.model_validate(extra_params)
    except ValidationError as error:
        raise SettingsError(_explain("extra params", error, ProjectSettings)) from error


#: Whose values are not said, however wrong they are.
_SECRET: Final = {
    known
    for name in ("label_studio_api_key", "redis_url", "basic_auth_pass")
    for known in (name, variable(name), "REDIS_URL")
}


def _from_text(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except json.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"extra params are neither JSON nor YAML: {text[:80]!r}") from error


def _explain(what: str, error: ValidationError, model: type[BaseModel]) -> str:
    said = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(key, model.model_fields, n=1)
            hint = f", did you mean {close[0]!r}" if close else ""
            said.append(f"{key!r} is not a setting{hint}; allowed: {', '.join(model.model_fields)}")
        elif not key:
            said.append(problem["msg"])
        elif problem["loc"][0] in _SECRET:
            said.append(f"{key}: {problem['msg']}")
        else:
            said.append(f"{key} is {str(problem['input'])[:60]!r}: {problem['msg']}")
    return f"{what}: " + "; ".join(said)
