"""What an admin's settings may be: the schema that is served, and what is refused on saving."""

from __future__ import annotations

import difflib
from typing import Any, Final

from fastapi import APIRouter

from ml_backend.embedders.choice import NO_EMBEDDER
from ml_backend.embedders.registry import check_name
from ml_backend.errors import ModelError, SettingsError
from ml_backend.labelstudio.attributes import LabelAttributes, TagAttributes
from ml_backend.labelstudio.config import LabelingConfig
from ml_backend.settings import ProjectSettings, ServiceSettings

__all__ = ["check_names", "check_prefix", "settings_api", "settings_schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MOST_NAMED: Final = 20


def settings_api() -> APIRouter:
    """Return the routes: they tell what anybody can read in the documentation."""
    router = APIRouter()
    router.add_api_route("/settings.schema.json", settings_schema, methods=["GET"])
    return router


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of a project's settings; the config's attributes are in ``$defs``."""
    schema = ProjectSettings.model_json_schema()
    attributes = {
        "TagAttributes": TagAttributes.model_json_schema(),
        "LabelAttributes": LabelAttributes.model_json_schema(),
    }
    return {"$schema": _DIALECT, **schema, "$defs": {**schema.get("$defs", {}), **attributes}}


def check_prefix(settings: ProjectSettings, before: ProjectSettings) -> None:
    """Refuse other names of fields for a project that has been analysed.

    Raises:
        SettingsError: flags and verdicts stand under the names before.
    """
    if settings.field_prefix != before.field_prefix:
        raise SettingsError(
            f"field_prefix is {settings.field_prefix!r}, but this project's flags and verdicts "
            f"stand in fields that begin with {before.field_prefix!r}: leave it so"
        )


def check_names(
    settings: ProjectSettings, config: LabelingConfig, service: ServiceSettings
) -> None:
    """See to it that labels and embedder which the settings name are there; nothing is loaded.

    Raises:
        SettingsError: naming the key, the value and what is allowed.
    """
    labels = dict.fromkeys(label for one in config.controls for label in one.labels)
    named = {
        "class_thresholds": tuple(settings.class_thresholds),
        "approve_without": settings.approve_without,
    }
    for key, label in ((key, label) for key, some in named.items() for label in some):
        if label not in labels:
            close = difflib.get_close_matches(label, labels, n=1)
            hint = f", did you mean {close[0]!r}" if close else ""
            raise SettingsError(
                f"extra params: {key} names {label[:80]!r}, which is no label of the "
                f"labelling config{hint}; there are: {', '.join(list(labels)[:_MOST_NAMED])}"
            )
    if settings.embedder not in ("", NO_EMBEDDER):
        reads = {one.reads for one in config.controls}
        try:
            check_name(settings.embedder, service.model_dir, reads, downloads=service.downloads)
        except ModelError as error:
            raise SettingsError(f"extra params: embedder: {error}") from error
