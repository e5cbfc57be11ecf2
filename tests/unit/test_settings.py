import pytest
from pydantic import ValidationError

from ml_backend.errors import SettingsError
from ml_backend.settings import ProjectSettings, ServiceSettings, misspelt, project_settings


@pytest.mark.parametrize(
    "given",
    [{"model": "a.pt"}, '{"model": "a.pt"}', "model: a.pt"],
    ids=["dict", "json", "yaml"],
)
def test_reads_what_label_studio_can_send(given):
    assert project_settings(given).model == "a.pt"


@pytest.mark.parametrize("nothing", [None, "", "  ", {}])
def test_nothing_is_all_defaults(nothing):
    assert project_settings(nothing) == ProjectSettings()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"review_threshold": 3}, "review_threshold is 3: Input should be less than or equal"),
        ({"modle": "a.pt"}, "'modle' is not a setting, did you mean 'model'"),
        ("[1, 2]", "must be a JSON object"),
        ("{ : :", "neither JSON nor YAML"),
        ("[" * 3000, "neither JSON nor YAML"),
        ('{"port": ' + "9" * 5000 + "}", "neither JSON nor YAML"),
        ("model: 2001-99-99", "neither JSON nor YAML"),
        ({"field_prefix": "a b"}, "field_prefix is 'a b'"),
    ],
)
def test_wrong_settings_are_named_with_what_is_allowed(given, said):
    with pytest.raises(SettingsError) as error:
        project_settings(given)
    assert said in str(error.value)


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize("given", [LAUGHS, LAUGHS + "model: *a11", "- &a [*a]"])
def test_aliases_of_yaml_are_refused_before_they_stand_for_more(given):
    with pytest.raises(SettingsError, match="YAML without aliases"):
        project_settings(given)


@pytest.mark.parametrize("given", [{"model": ["x" * 99] * 99}, "- " + "x" * 9999, {"y" * 9999: 1}])
def test_a_wrong_value_is_named_in_short(given):
    with pytest.raises(SettingsError) as error:
        project_settings(given)
    assert len(str(error.value)) < 800


def test_links_lead_where_people_find_label_studio():
    inside = {"LABEL_STUDIO_URL": "http://label-studio:8080/"}
    assert ServiceSettings(**inside).people_url == "http://label-studio:8080"
    public = ServiceSettings(**inside, LABEL_STUDIO_PUBLIC_URL="https://labels.example/")
    assert public.people_url == "https://labels.example"


def test_variables_that_are_no_settings_are_named_with_what_may_be_meant():
    there = {"RELOOK_MODLE_DIR": "a", "RELOOK_MODEL_DIR": "a", "RELOOK_REDIS_URL": "", "HOME": "/"}
    assert misspelt(there) == {"RELOOK_MODLE_DIR": "RELOOK_MODEL_DIR"}


@pytest.mark.parametrize("said", ["debug", "DEBUG"])
def test_the_level_of_logs_is_a_setting(monkeypatch, said):
    monkeypatch.setenv("RELOOK_LOG_LEVEL", said)
    assert ServiceSettings().log_level == "DEBUG"
    monkeypatch.setenv("RELOOK_LOG_LEVEL", "loud")
    with pytest.raises(ValidationError, match="log_level"):
        ServiceSettings()


def test_settings_reach_another_process_whole(monkeypatch, tmp_path):
    given = ServiceSettings(
        LABEL_STUDIO_URL="http://ls",
        LABEL_STUDIO_API_KEY="secret",
        model_dir=tmp_path,
        data_dir=tmp_path / "data",
        model_hosts=("a:1", "b"),
        downloads=True,
        port=1234,
    )
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings() == given
