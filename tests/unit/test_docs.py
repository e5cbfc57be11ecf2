"""The README's tables are held against the code."""

import re
from pathlib import Path

import pytest

from ml_backend.labelstudio.config import SERVED
from ml_backend.labelstudio.reader import OWN_FIELDS
from ml_backend.settings import ProjectSettings, ServiceSettings, variable

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("name", ServiceSettings.model_fields)
def test_every_variable_is_documented(name):
    assert (
        f"`{variable(name).removeprefix('RELOOK_')}`" in README or f"`{variable(name)}`" in README
    )


@pytest.mark.parametrize("name", ProjectSettings.model_fields)
def test_every_project_setting_is_documented_with_its_default(name):
    (default,) = re.findall(rf"^\| `{name}` \| (.*?) ?\|", README, re.MULTILINE)
    assert default == str(ProjectSettings.model_fields[name].default)


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_every_field_that_is_written_is_documented(name):
    assert f"`relook_{name}`" in README


@pytest.mark.parametrize("tag", SERVED)
def test_every_served_tag_is_documented(tag):
    assert f"`{tag}`" in README
