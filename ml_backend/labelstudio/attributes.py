"""The attributes of a labelling config that are Relook's, as they are documented.

``config.parse_config`` reads them; Label Studio keeps attributes that it does not know.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LabelAttributes", "TagAttributes"]


class TagAttributes(BaseModel):
    """On a control tag, such as RectangleLabels."""

    model_config = ConfigDict(title="Attributes of a control tag")

    model_path: str = Field("", description="The tag's own model; it goes before the project's.")
    model_score_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Lowest confidence of the tag's pre-labels, in place of score_threshold.",
    )
    model_skip: bool = Field(False, description="Whether the tag is left to people.")


class LabelAttributes(BaseModel):
    """On a label or a choice inside a control tag."""

    model_config = ConfigDict(title="Attributes of a label")

    predicted_values: str = Field(
        "", description="Classes of the model that mean this label, separated by commas."
    )
    model_index: int | None = Field(
        None, ge=0, description="Number of the model's key point that this label stands for."
    )
