"""What Label Studio 1.23 sends an ML backend, and what it expects back."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ml_backend.web.numbers import Id

__all__ = ["PredictRequest", "SetupRequest", "Task", "WebhookRequest"]

#: Label Studio sends a project's id with the time it was made: "12.1700000000".
_PROJECT: Final = r"^[0-9]{1,15}(\.[0-9]{0,20})?$"
_ProjectText = Annotated[str, Field(pattern=_PROJECT)]


class _Received(BaseModel):
    # Label Studio adds keys with every release; what is not used is not looked at.
    model_config = ConfigDict(extra="ignore")


class SetupRequest(_Received):
    """POST /setup: on connecting, on saving the connection, and at nearly every task opened."""

    project: _ProjectText
    label_config: str = Field(alias="schema")
    extra_params: Any = None

    @property
    def project_id(self) -> int:
        """The project's id; Label Studio sends it with the time the project was made."""
        return _project_id(self.project)


class Task(_Received):
    """One task of a prediction request; other backends are shown all that Label Studio sends."""

    model_config = ConfigDict(extra="allow")

    id: Id
    data: dict[str, Any]
    predictions: list[dict[str, Any]] = []


class PredictRequest(_Received):
    """POST /predict: one task opened, or all tasks selected in the Data Manager at once."""

    tasks: list[Task]
    project: _ProjectText
    label_config: str

    @property
    def project_id(self) -> int:
        """The project's id."""
        return _project_id(self.project)


class WebhookRequest(_Received):
    """POST /webhook: something changed, or somebody pressed "Start training".

    A webhook without payload names the action alone; its headers say the project.
    ``task`` and ``annotation`` are one object or a list, by the kind of action; deletions name
    annotations without their task. ``config`` is the project's labelling config, where it is sent.
    """

    action: str = Field(max_length=100)
    project: Id
    tasks: list[Id] = []
    annotations: list[Id] = []
    config: str = ""

    @field_validator("project", mode="before")
    @classmethod
    def _only_id(cls, value: Any) -> Any:
        return value.get("id") if isinstance(value, dict) else value

    @classmethod
    def from_body(cls, body: dict[str, Any], project: str | None = None) -> WebhookRequest:
        """Read any of Label Studio's event bodies.

        Args:
            body: as it was sent.
            project: the project where the body names none.
        """
        project = body.get("project", project)
        config = project.get("label_config") if isinstance(project, dict) else None
        return cls.model_validate(
            {
                "config": config or "",
                "action": body.get("action"),
                "project": project,
                "tasks": _ids(body.get("task")) + _ids(body.get("tasks")),
                "annotations": _ids(body.get("annotation")) + _ids(body.get("annotations")),
            }
        )


def _project_id(text: str) -> int:
    return int(text.split(".", maxsplit=1)[0])


def _ids(found: Any) -> list[Any]:
    items = found if isinstance(found, list) else [found] if found is not None else []
    return [item.get("id") if isinstance(item, dict) else item for item in items]
