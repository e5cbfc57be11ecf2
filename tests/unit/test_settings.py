import reprlib

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from ml_backend.errors import SettingsError
from ml_backend.settings import (
    ProjectSettings,
    ServiceSettings,
    misspelt,
    project_settings,
    service_settings,
)


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
        ("[object Object]", "type them anew"),
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


#: Of every setting of a project: a wrong value, and what is said to be allowed.
WRONG = {
    "model": (3, "valid string"),
    "embedder": ("x" * 501, "at most 500 characters"),
    "score_threshold": (-0.1, "greater than or equal to 0"),
    "class_thresholds": ({"car": 1.1}, "less than or equal to 1"),
    "iou_threshold": (0, "greater than 0"),
    "checks": (["ugly", "missing"], "'mislabelled', 'missing', 'spurious'"),
    "review_threshold": (0, "greater than 0"),
    "kind_thresholds": ({"missing": 0}, "greater than 0"),
    "review_share": (1.5, "less than or equal to 1"),
    "queue_tab": ("   ", "at least 1 character"),
    "kind_tabs": (True, "valid list"),
    "approve_confidence": (0.4, "greater than or equal to 0.5"),
    "approve_half_seen": (0.6, "less than or equal to 0.5"),
    "approve_outlier": (0, "greater than 0"),
    "approve_without": ("unclear", "valid list"),
    "batch_every": (-1, "greater than or equal to 0"),
    "batch_size": (2.5, "valid integer"),
    "batch_to": ("there", "'^(|new|here|"),
    "analyze_every_hours": (8761, "less than or equal to 8760"),
    "analyze_on_change": ("yes", "valid boolean"),
    "field_prefix": ("a b", "'^[A-Za-z]"),
}


def test_no_setting_lacks_a_wrong_value():
    assert set(WRONG) == set(ProjectSettings.model_fields)


@pytest.mark.parametrize("key", WRONG)
def test_of_every_setting_a_wrong_value_is_named_with_what_is_allowed(key):
    value, allowed = WRONG[key]
    with pytest.raises(SettingsError) as error:
        project_settings({key: value})
    named = next(iter(value.values()) if isinstance(value, dict) else iter([value]))
    named = value[0] if isinstance(value, list) else named
    said = str(error.value)
    assert said.startswith(f"extra params: {key}")
    assert f"is {reprlib.repr(named)}: " in said
    assert allowed in said


NUMBERS = ["score_threshold", "iou_threshold", "review_threshold", "review_share"]
NUMBERS += ["approve_confidence", "approve_half_seen", "approve_outlier"]
NUMBERS += ["batch_every", "batch_size", "analyze_every_hours"]


@pytest.mark.parametrize(
    "given",
    [
        *({key: wrong} for key in NUMBERS for wrong in (True, "1")),
        {"class_thresholds": {"car": True}},
        {"kind_thresholds": {"missing": True}},
        {"analyze_on_change": 1},
        {"kind_tabs": 0},
        {"queue_tab": "   "},
        {"queue_tab": "x" * 101},
        {"batch_to": "1" * 16},
    ],
    ids=str,
)
def test_the_json_schema_and_the_settings_refuse_the_same(given):
    assert not Draft202012Validator(ProjectSettings.model_json_schema()).is_valid(given)
    with pytest.raises(SettingsError):
        project_settings(given)


def test_a_title_is_without_spaces_around_it():
    assert project_settings({"queue_tab": " To look at "}).queue_tab == "To look at"


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


@pytest.fixture
def read_anew():
    service_settings.cache_clear()
    yield
    service_settings.cache_clear()


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        ("images.example.com", ("images.example.com",)),
        (" a_b.example:9000, [fd00::7]:9000 ,", ("a_b.example:9000", "[fd00::7]:9000")),
        ('["127.0.0.1:9000", "müller.example"]', ("127.0.0.1:9000", "müller.example")),
        ("[::1]:9000", ("[::1]:9000",)),
        ("[]", ()),
        (" , ", ()),
    ],
)
def test_hosts_are_parted_by_commas_or_are_a_json_list(monkeypatch, said, hosts):
    monkeypatch.setenv("RELOOK_MEDIA_HOSTS", said)
    monkeypatch.setenv("RELOOK_MODEL_HOSTS", said)
    made = ServiceSettings()
    assert made.media_hosts == made.model_hosts == hosts


@pytest.mark.parametrize(
    "said",
    [
        *("https://images.example.com/", '["https://images.example.com/"]', "images.example.com/a"),
        *("host:abc", '["host:70000"]', "host:0", "host:", "*.example.com", "me:secret@host"),
        *("fd00::7", "[fd00::zz]:9000", '["host"', "a host", "{}", "7", "[7]"),
    ],
)
@pytest.mark.parametrize("name", ["RELOOK_MEDIA_HOSTS", "RELOOK_MODEL_HOSTS"])
def test_a_host_that_is_none_is_refused_by_name(monkeypatch, read_anew, name, said):
    monkeypatch.setenv(name, said)
    with pytest.raises(SettingsError) as error:
        service_settings()
    assert f"RELOOK_ settings: {name.removeprefix('RELOOK_').lower()}" in str(error.value)
    assert "secret" not in str(error.value)


def test_how_a_host_is_written_is_said(monkeypatch, read_anew):
    monkeypatch.setenv("RELOOK_MEDIA_HOSTS", "images.example,https://b.example")
    with pytest.raises(SettingsError, match=r"media_hosts\.1.*host:port.*without http://"):
        service_settings()


def test_classes_are_parted_by_commas_too_and_refused_by_name(monkeypatch, read_anew):
    monkeypatch.setenv("RELOOK_MODEL_CLASSES", "my_models.sam:Sam, other:Other")
    assert service_settings().model_classes == ("my_models.sam:Sam", "other:Other")
    service_settings.cache_clear()
    monkeypatch.setenv("RELOOK_MODEL_CLASSES", "my_models.sam.Sam")
    with pytest.raises(SettingsError, match=r"model_classes\.0 is 'my_models\.sam\.Sam'"):
        service_settings()
