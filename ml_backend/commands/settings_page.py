"""docs/settings.md, written from the settings themselves: `make settings`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from ml_backend.labelstudio.attributes import LabelAttributes, TagAttributes
from ml_backend.settings import ProjectSettings, ServiceSettings, touched_by, variable

__all__ = ["settings_page"]

_AGAIN: Final = {"predictions": "all", "queue": "queue", "nothing": "—"}

_PAGE: Final = """# Settings

Written by `make settings` from the code; do not edit.

## Of a project

An admin sets them in Label Studio, under Settings > Model, as the connection's *extra params*:
one JSON object, or YAML. All are optional. A wrong one is refused in the dialog, by its name, its
value and what is allowed, and nothing changes. The same as JSON Schema:
`GET /settings.schema.json`.

```json
{project_example}
```

A change holds from the next request on. It begins a run by itself (see `analyze_on_change`) where
something is to be done again: *all*: every task is read and scored again, by stored predictions
where the model is the same; *queue*: only tasks of which something else is to be said are written,
by the scores that are known; —: nothing, and no run is begun.

{project}

Kinds of suspicion: {kinds}. What each means: [scores](scores.md).

## In the labelling config

Label Studio keeps attributes that it does not know. On a control tag (`RectangleLabels`,
`PolygonLabels`, `BrushLabels`, `KeyPointLabels`, `Choices`, `Labels`):

{tag}

On a `Label` or `Choice` inside one:

{label}

```xml
{config_example}
```

Without `predicted_values`, classes map to labels by name, then by name in any case. A change of
tags, labels or these attributes is noticed when it is saved; of a header, a colour or a hint,
nothing is done again.

## Of the service

By environment variables, for the owner of the machine:

{service}
"""

_PROJECT_EXAMPLE: Final = {
    "model": "yolo.pt",
    "score_threshold": 0.4,
    "class_thresholds": {"truck": 0.7},
    "checks": ["mislabelled", "missing", "spurious"],
    "review_threshold": 0.5,
    "kind_thresholds": {"missing": 0.8},
    "review_share": 0.05,
    "batch_every": 100,
    "analyze_every_hours": 24,
}
_CONFIG_EXAMPLE: Final = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="label" toName="image" model_path="yolo.pt" model_score_threshold="0.3">
    <Label value="car" predicted_values="jeep,cab"/>
    <Label value="truck"/>
  </RectangleLabels>
  <Choices name="weather" toName="image" model_skip="true">
    <Choice value="sun"/>
    <Choice value="rain"/>
  </Choices>
</View>"""


def settings_page() -> str:
    """Return docs/settings.md as it should be."""
    names = list(ProjectSettings.model_fields)
    again = [_AGAIN[touched_by(name)] for name in names]
    service = {variable(name): name for name in ServiceSettings.model_fields}
    kinds: list[str] = _properties(ProjectSettings)["checks"]["items"]["enum"]
    return _PAGE.format(
        project_example=json.dumps(_PROJECT_EXAMPLE, indent=2),
        config_example=_CONFIG_EXAMPLE,
        project=_table(
            ("key", "default", "allowed", "meaning", "done again"),
            [(*row, what) for row, what in zip(_rows(ProjectSettings), again, strict=True)],
        ),
        kinds=", ".join(f"`{kind}`" for kind in kinds),
        tag=_table(("attribute", "default", "allowed", "meaning"), _rows(TagAttributes)),
        label=_table(("attribute", "default", "allowed", "meaning"), _rows(LabelAttributes)),
        service=_table(
            ("variable", "default", "allowed", "meaning"),
            [
                (f"`{name}`", *row[1:])
                for name, row in zip(service, _rows(ServiceSettings), strict=True)
            ],
        ),
    )


def _rows(model: type[BaseModel]) -> list[tuple[str, ...]]:
    said = _properties(model)
    rows: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        schema = next(one for key, one in said.items() if key in (name, *_aliases(field)))
        meaning = str(field.description)
        rows.append((f"`{name}`", _default(field.default), _allowed(schema), meaning))
    return rows


def _aliases(field: Any) -> list[str]:
    alias = field.validation_alias
    return [str(one) for one in getattr(alias, "choices", [alias])]


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = model.model_json_schema()["properties"]
    return found


def _default(value: Any) -> str:
    if value in (None, "", PydanticUndefined) or isinstance(value, SecretStr):
        return ""
    if isinstance(value, tuple):
        return "all" if len(value) else "`[]`"
    return f"`{value if isinstance(value, str | Path) else json.dumps(value)}`"


def _allowed(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        schema = next(one for one in schema["anyOf"] if one.get("type") != "null") | schema
    inside = schema.get("additionalProperties")
    if isinstance(inside, dict):
        keys = schema.get("propertyNames", {}).get("enum")
        return f"object: {'kind' if keys else 'label'} to {_allowed(inside)}"
    if "enum" in schema.get("items", {}):
        return "list of kinds"
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, kind = schema.get("maximum"), schema.get("type", "string")
    words = {"array": "list", "boolean": "true, false", "string": "text"}
    if kind not in ("number", "integer"):
        return words.get(str(kind), str(kind))
    what = "" if kind == "number" else "whole number, "
    if high is None:
        return f"{what}from {low}"
    return f"{what}above {above}, to {high}" if above is not None else f"{what}{low} to {high}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(one.replace("|", "\\|") for one in row) + " |" for row in lines
    )


if __name__ == "__main__":
    sys.stdout.write(settings_page())
