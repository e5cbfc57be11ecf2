"""What is written is held against the code."""

import re
from pathlib import Path

import pytest

from ml_backend.commands.settings_page import settings_page
from ml_backend.labelstudio.attributes import LabelAttributes, TagAttributes
from ml_backend.labelstudio.config import SERVED, parse_config
from ml_backend.labelstudio.tasks.reader import OWN_FIELDS
from ml_backend.settings import project_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def test_the_settings_page_is_what_the_settings_say():
    assert settings_page() == SETTINGS, "run `make settings`"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", SETTINGS, re.DOTALL)


def test_its_examples_are_accepted():
    (params,) = blocks("json")
    settings = project_settings(params)
    (config,) = blocks("xml")
    (control,) = parse_config(config).controls
    assert set(settings.class_thresholds) <= set(control.labels)


def with_attributes(on_tag="", on_label=""):
    return parse_config(
        f'<View><Image name="i" value="$i"/><KeyPointLabels name="k" toName="i" {on_tag}>'
        f'<Label value="a" {on_label}/></KeyPointLabels><Choices name="c" toName="i">'
        '<Choice value="b"/></Choices></View>'
    ).controls


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (TagAttributes, "model_path", "x.pt"),
        (TagAttributes, "model_score_threshold", "0.3"),
        (TagAttributes, "model_skip", "true"),
        (LabelAttributes, "predicted_values", "z"),
        (LabelAttributes, "model_index", "4"),
    ],
)
def test_every_attribute_that_is_documented_is_read(model, name, value):
    assert name in model.model_fields
    given = f'{name}="{value}"'
    place = {"on_tag": given} if model is TagAttributes else {"on_label": given}
    assert with_attributes(**place) != with_attributes()


def test_no_attribute_is_forgotten():
    assert len(TagAttributes.model_fields) + len(LabelAttributes.model_fields) == 5


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_every_field_that_is_written_is_documented(name):
    assert f"`relook_{name}`" in README


@pytest.mark.parametrize("tag", SERVED)
def test_every_served_tag_is_documented(tag):
    assert f"`{tag}`" in README
