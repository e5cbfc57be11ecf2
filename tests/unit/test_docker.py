"""What can be known of the images without a Docker engine: they are well-formed and shut."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser

from ml_backend.settings import ServiceSettings, variable

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = sorted(DOCKER.glob("compose*.yaml"))
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text().splitlines()
    if "=" in line and not line.startswith("#")
)
FILLED = {name: value or "a filled-in value" for name, value in EXAMPLE.items()}
VARIABLE = re.compile(r"\$(\$|\{(\w+)(:[-?]([^}]*))?\})")


def filled_in(text):
    """Put variables in, as compose does; one that is wanted and not there is an error."""

    def value(found):
        if found[1] == "$":
            return "$"
        name, operator, rest = found[2], (found[3] or "")[:2], found[4] or ""
        if FILLED.get(name):
            return FILLED[name]
        assert operator == ":-", f"{name} is neither in .env.example nor has it a default"
        return rest

    return VARIABLE.sub(value, text)


@pytest.fixture(params=COMPOSE, ids=lambda path: path.name)
def compose(request):
    return filled_in(request.param.read_text())


def services(name):
    return yaml.safe_load(filled_in((DOCKER / name).read_text()))["services"]


def test_there_is_one_for_one_machine_one_for_more_and_one_for_gpus():
    assert [path.name for path in COMPOSE] == [
        *("compose.cuda.yaml", "compose.workers.yaml", "compose.yaml")
    ]


def test_each_is_what_the_compose_specification_says(compose):
    # Anchors first: the checker knows plain YAML only.
    plain = {
        name: part for name, part in yaml.safe_load(compose).items() if not name.startswith("x-")
    }
    if any("image" not in one for one in plain["services"].values()):
        pytest.skip("it only changes another")
    PyCompose.from_yaml(yaml.safe_dump(plain)).validate()


def test_a_secret_that_is_not_filled_in_stops_it():
    text = "".join(path.read_text() for path in COMPOSE)
    for name in ("LABEL_STUDIO_API_KEY", "REDIS_PASSWORD", "POSTGRES_PASSWORD"):
        assert re.search(rf"\$\{{{name}:\?", text)
        assert f"${{{name}:-" not in text
        assert EXAMPLE[name] == ""


@pytest.mark.parametrize("name", ["compose.yaml", "compose.workers.yaml"])
def test_relook_runs_without_rights_on_a_root_that_cannot_be_written(name):
    ours = {key: one for key, one in services(name).items() if key in ("relook", "worker")}
    assert "worker" in ours
    for one in ours.values():
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["tmpfs"] == ["/tmp"]


def test_only_label_studio_has_a_port_and_redis_wants_a_password():
    found = services("compose.yaml")
    assert [name for name, one in found.items() if one.get("ports")] == ["label-studio"]
    assert "--requirepass" in found["redis"]["command"][-1]
    assert (
        "169.254.0.0/16" in found["label-studio"]["environment"]["USER_ADDITIONAL_BANNED_SUBNETS"]
    )


def test_every_variable_of_ours_is_one():
    known = {variable(name) for name in ServiceSettings.model_fields} | {"REDIS_URL"}
    for name in ("compose.yaml", "compose.workers.yaml"):
        for given in services(name)["worker"]["environment"]:
            assert given in known or given.startswith("AWS_")
    file = DockerfileParser(str(DOCKER / "Dockerfile"))
    assert {name for name in file.envs if name.startswith("RELOOK_")} <= known


def test_the_image_runs_as_nobody_and_says_whether_it_is_well():
    file = DockerfileParser(str(DOCKER / "Dockerfile"))
    steps = [(one["instruction"], one["value"]) for one in file.structure]
    user = [value for name, value in steps if name == "USER"]
    assert user[-1] not in ("", "0", "root")
    assert steps.index(("USER", user[-1])) > max(
        n for n, (name, _) in enumerate(steps) if name in ("RUN", "COPY")
    )
    assert [name for name, _ in steps].count("HEALTHCHECK") == 1
    copied = [value.split()[:-1] for name, value in steps if name == "COPY"]
    named = [one for files in copied if not files[0].startswith("--") for one in files]
    # A pattern may have nothing to match.
    assert all((DOCKER.parent / one).exists() for one in named if "[" not in one)


def test_hadolint_has_nothing_to_say():
    ended = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
