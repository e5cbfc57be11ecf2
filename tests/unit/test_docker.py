"""What can be known of the images without a Docker engine: they are well-formed and shut."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from ml_backend.commands.cli import app
from ml_backend.jobs.queues.embedded_redis import _executable
from ml_backend.processes import ChildProcess
from ml_backend.settings import ServiceSettings, variable

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = sorted(DOCKER.glob("compose*.yaml"))
#: What is started together, as docs/operations.md and docs/scaling.md say.
TOGETHER = [
    ("compose.yaml",),
    ("compose.yaml", "compose.cuda.yaml"),
    ("compose.yaml", "compose.shared.yaml"),
    ("compose.workers.yaml",),
    ("compose.workers.yaml", "compose.workers.cuda.yaml"),
]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text().splitlines()
    if "=" in line and not line.startswith("#")
)
FILLED = {name: value or "a filled-in value" for name, value in EXAMPLE.items()}
FILLED["REDIS_ADDRESS"] = "10.0.0.1"
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


def merged(*names):
    """What compose makes of files that are named together."""
    whole = {}
    for name in names:
        text = filled_in((DOCKER / name).read_text())
        whole = _laid_over(whole, yaml.safe_load(text))
    return whole


def _laid_over(below, above):
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _laid_over(below.get(key), one) for key, one in above.items()}
    return [*below, *above] if isinstance(below, list) else above


def services(*names):
    return merged(*names)["services"]


@pytest.mark.parametrize("names", TOGETHER, ids="+".join)
def test_each_is_what_the_compose_specification_says(names):
    # Anchors first: the checker knows plain YAML only.
    plain = {name: part for name, part in merged(*names).items() if not name.startswith("x-")}
    assert all("image" in one for one in plain["services"].values())
    PyCompose.from_yaml(yaml.safe_dump(plain)).validate()


def test_every_file_is_started_in_some_way():
    assert {path.name for path in COMPOSE} == {name for names in TOGETHER for name in names}


def test_workers_elsewhere_get_what_those_of_the_first_machine_get():
    (first, elsewhere) = (
        services(name)["worker"]["environment"] for name in ("compose.yaml", "compose.workers.yaml")
    )
    assert set(first) == set(elsewhere)
    assert {"RELOOK_STORE", "AWS_ENDPOINT", "AWS_ALLOW_HTTP"} <= set(first)
    same = set(first) - {"LABEL_STUDIO_URL", "REDIS_URL"}
    assert {name: first[name] for name in same} == {name: elsewhere[name] for name in same}


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


@pytest.mark.parametrize("name", ["compose.yaml", "compose.workers.yaml"])
def test_workers_are_asked_for_their_signs_of_life(name):
    asked = services(name)["worker"]["healthcheck"]
    program, *words = asked["test"][1:]
    assert (asked["test"][0], program) == ("CMD", "relook")
    command, *options = words
    with typer.main.get_command(app).commands[command].make_context(command, options) as context:
        assert context.params["check"] is True


@pytest.mark.parametrize("name", ["compose.yaml", "compose.workers.yaml"])
def test_workers_have_time_to_end_what_they_are_at(name):
    assert services(name)["worker"]["stop_grace_period"] == "60s"


@pytest.mark.parametrize("names", TOGETHER, ids="+".join)
def test_no_container_gains_rights(names):
    for name, one in services(*names).items():
        assert one["security_opt"] == ["no-new-privileges:true"], name


#: In place of the image's own entrypoint: says how it was called, and with what.
ENTRYPOINT = """#!/bin/sh
printf '%s\\n' "$@" > arguments
exec cat > configuration
"""


def test_redis_gives_up_root_and_its_password_is_in_no_argument(tmp_path):
    # The official entrypoint gives up root where its first argument is just this.
    (tmp_path / "docker-entrypoint.sh").write_text(ENTRYPOINT)
    (tmp_path / "docker-entrypoint.sh").chmod(0o755)
    password = "a password, 'of' these #tests"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDISCLI_AUTH": password}
    redis = services("compose.yaml")["redis"]
    assert "entrypoint" not in redis
    subprocess.run(redis["command"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "arguments").read_text().split() == ["redis-server", "-"]

    configuration = tmp_path / "configuration"
    with configuration.open("a") as more:
        more.write(f"dir {tmp_path}\nport 0\nunixsocket {tmp_path}/socket\n")
    shell = [f'exec "$0" - < {configuration}', _executable()]
    known = Redis(unix_socket_path=f"{tmp_path}/socket", password=password)
    with ChildProcess("Redis", ["sh", "-c", *shell], tmp_path / "log") as server:
        server.wait_ready(lambda: answers(known), timeout=240)
        assert known.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(AuthenticationError):
            Redis(unix_socket_path=f"{tmp_path}/socket").ping()


def answers(known):
    try:
        return known.ping()
    except RedisConnectionError:
        return False


def test_every_variable_that_is_read_is_in_the_example():
    said = (DOCKER / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z_]+)=", said, re.MULTILINE))
    read = {name for path in COMPOSE for name in re.findall(r"(?<!\$)\$\{(\w+)", path.read_text())}
    assert read <= named
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]+)\}", (DOCKER / "compose.yaml").read_text()))
    for name in ("POSTGRES_TAG", "REDIS_TAG", "LABEL_STUDIO_PORT"):
        assert EXAMPLE[name] == defaults[name]


def test_label_studio_starts_alone_before_there_is_a_token():
    """As docs/operations.md has it: the example is copied, and the passwords are filled in."""
    pages = (DOCKER.parent / "docs" / "operations.md").read_text()
    (alone,) = re.findall(r"^(.*)docker compose .* up -d label-studio$", pages, re.MULTILINE)
    passwords = {name for name in EXAMPLE if name.endswith(("_PASSWORD", "_PASS"))}
    given = {name for name, value in EXAMPLE.items() if value} | passwords
    given |= {one.split("=")[0] for one in alone.split() if one.split("=")[1]}
    wanted = set(re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text()))
    assert wanted <= given


def test_people_reach_label_studio_and_the_page_and_redis_wants_a_password():
    found = services("compose.yaml")
    ports = {name: one["ports"] for name, one in found.items() if one.get("ports")}
    assert ports == {"label-studio": ["8080:8080"], "relook": ["9090:9090"]}
    assert found["relook"]["environment"]["LABEL_STUDIO_PUBLIC_URL"] == "http://localhost:8080"
    assert "requirepass" in found["redis"]["command"][-1]
    assert (
        "169.254.0.0/16" in found["label-studio"]["environment"]["USER_ADDITIONAL_BANNED_SUBNETS"]
    )


def test_redis_is_open_to_other_machines_only_where_that_is_asked_for():
    found = services("compose.yaml", "compose.shared.yaml")
    assert found["redis"]["ports"] == ["10.0.0.1:6379:6379"]


def test_label_studio_is_of_a_version_and_is_waited_for_until_it_answers():
    found = services("compose.yaml")
    pinned = (DOCKER.parent / "constraints-labelstudio.txt").read_text()
    (tested,) = re.findall(r"^label-studio==(\S+)$", pinned, re.MULTILINE)
    assert found["label-studio"]["image"] == f"heartexlabs/label-studio:{tested}"
    # Also for who has an .env that names none.
    assert f"LABEL_STUDIO_TAG:-{tested}}}" in (DOCKER / "compose.yaml").read_text()
    check = found["label-studio"]["healthcheck"]
    compile(check["test"][-1], "health check", "exec")
    assert check["test"][0] == "CMD"
    for name in ("relook", "worker"):
        assert found[name]["depends_on"]["label-studio"] == {"condition": "service_healthy"}


def test_every_setting_reaches_the_containers():
    given = services("compose.yaml")
    image = {name for name in DockerfileParser(str(DOCKER / "Dockerfile")).envs if "RELOOK" in name}
    # The port inside is the image's; .env names the one outside. Redis goes by its other name.
    image |= {"RELOOK_PORT", "RELOOK_REDIS_URL"}
    wanted = {variable(name) for name in ServiceSettings.model_fields} - image
    for name in ("relook", "worker"):
        assert wanted | {"REDIS_URL"} <= set(given[name]["environment"])


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
    assert all((DOCKER.parent / one).exists() for one in named)


def test_hadolint_has_nothing_to_say():
    ended = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
