"""Prove the image's steps without a Docker engine: the same commands in fresh Debian roots.

    sudo docker/prove.sh /var/tmp/prove [TORCH_INDEX=...]

Each stage of docker/Dockerfile gets a root made by debootstrap, and its steps are run there in
order. Then the last root is mounted read-only, with /data and /tmp of its own, and the backend is
started in it as the image's user, without rights; its HEALTHCHECK must say that it is well.

What this does not show: layers, the engine's own isolation, the base image itself (debootstrap's
minimal Debian is close to debian:bookworm-slim, not it), and compose.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from dockerfile_parse import DockerfileParser

HERE = Path(__file__).parent
CONTEXT = HERE.parent
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
#: What a machine with a package index of its own needs besides: its variables and certificates.
OURS = {
    name: value
    for name, value in os.environ.items()
    if name.startswith("PIP_") or name.lower() in ("http_proxy", "https_proxy", "no_proxy")
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def say(text: str) -> None:
    print(f"prove: {text}", flush=True)


def run(*command: str | Path, **options: object) -> None:
    subprocess.run([str(part) for part in command], check=True, **options)  # type: ignore[call-overload]


class Root:
    """A folder that stands for one stage's file system."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.path = folder
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.folder, self.user = "/", "0"
        self.entry: list[str] = []
        self.command: list[str] = []
        self.health: list[str] = []
        run("cp", "-a", base, folder)
        (folder / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())

    def inside(self, *command: str, user: str = "0", **more: str) -> list[str]:
        env = [f"{name}={value}" for name, value in {**self.env, **more}.items()]
        where = f'cd {shlex.quote(self.folder)} && exec "$@"'
        return [
            *("chroot", f"--userspec={user}:{user}", str(self.path)),
            *("/usr/bin/env", "-i", *env, "/bin/sh", "-c", where, "sh", *command),
        ]


#: Steps that only say how the image is run.
SET = {
    "USER": ("user", str),
    "ENTRYPOINT": ("entry", json.loads),
    "CMD": ("command", json.loads),
    "HEALTHCHECK": ("health", lambda text: json.loads(text[text.index("CMD") + 3 :])),
}


def value_of(text: str, env: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: env.get(found[1], found[0]), text)


def copy(root: Root, text: str, stages: dict[str, Root]) -> None:
    parts = text.split()
    source = CONTEXT
    if parts[0].startswith("--from="):
        source = stages[parts.pop(0).removeprefix("--from=")].path
    *files, target = parts
    place = root.path / os.path.join(root.folder, target).lstrip("/")
    for found in [one for name in files for one in source.glob(name.lstrip("/"))]:
        if found.is_dir():
            shutil.copytree(
                found,
                place,
                dirs_exist_ok=True,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", "node_modules"),
            )
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)


def step(root: Root, name: str, text: str, given: dict[str, str], stages: dict[str, Root]) -> None:
    if name == "RUN":
        ours = {**OURS, **({"PIP_CERT": "/opt/ca.crt"} if "PIP_CERT" in OURS else {})}
        run(*root.inside("/bin/sh", "-ec", text, **ours, **given))
    elif name == "COPY":
        copy(root, text, stages)
    elif name == "WORKDIR":
        root.folder = text
        (root.path / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif name == "ENV":
        for one in shlex.split(text):
            key, _, value = one.partition("=")
            root.env[key] = value_of(value, root.env)
    elif name == "ARG":
        key, _, value = text.partition("=")
        given.setdefault(key, value)
    elif name in SET:
        field, read = SET[name]
        setattr(root, field, read(text))
    elif name != "EXPOSE":
        raise SystemExit(f"prove: {name} is not known")


def build(folder: Path, given: dict[str, str]) -> Root:
    base = folder / "base"
    if not base.exists():
        say(f"debootstrap of bookworm from {MIRROR}")
        run("debootstrap", "--variant=minbase", "bookworm", base, MIRROR, stdout=subprocess.DEVNULL)
        shutil.copy(CERTIFICATES, base / "opt/ca.crt")
        for folder_of_wheels in filter(Path.is_dir, (Path("/opt/wheels"), Path("/opt/pypi"))):
            run("cp", "-rL", folder_of_wheels, base / "opt")
    stages: dict[str, Root] = {}
    root: Root | None = None
    for one in DockerfileParser(str(HERE / "Dockerfile")).structure:
        name, text = one["instruction"], one["value"]
        if name == "COMMENT":
            continue
        if name == "FROM":
            stage = text.split(" AS ")[1] if " AS " in text else "last"
            shutil.rmtree(folder / stage, ignore_errors=True)
            root = stages[stage] = Root(folder / stage, base)
            say(f"stage {stage}")
            continue
        assert root is not None, "a Dockerfile begins with FROM"
        say(f"{name} {text[:90]}")
        step(root, name, text, given, stages)
    return stages["last"]


def start(root: Root) -> None:
    """Start the backend on a root that cannot be written, and ask its HEALTHCHECK."""
    shown = root.path.parent / "running"
    shown.mkdir(exist_ok=True)
    inside = Root.__new__(Root)
    inside.__dict__ = {**root.__dict__, "path": shown}
    run("mount", "--bind", root.path, shown)
    try:
        run("mount", "-o", "remount,bind,ro", shown)
        for name in ("tmp", "data"):
            run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", shown / name)
        run("mount", "--bind", "/dev", shown / "dev")
        run("mount", "-t", "proc", "proc", shown / "proc")
        refused = subprocess.run(inside.inside("touch", "/x", user=root.user), check=False)
        assert refused.returncode, "the root can be written"
        version = inside.inside(*root.entry, "--version", user=root.user)
        say("relook " + subprocess.check_output(version, text=True).strip())
        serve(inside, root)
    finally:
        for name in ("proc", "dev", "data", "tmp", ""):
            subprocess.run(["umount", "-l", shown / name], check=False, stderr=subprocess.DEVNULL)


def serve(inside: Root, root: Root) -> None:
    # `start` brings its own Redis; the image's own command, `serve`, is one of its children.
    more = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "none"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        more["RELOOK_PORT"] = str(probe.getsockname()[1])
    command = inside.inside(*root.entry, "start", user=root.user, **more)
    with subprocess.Popen(command) as running:
        try:
            for _ in range(60):
                time.sleep(3)
                check = inside.inside(*root.health, user=root.user, **more)
                if not subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode:
                    say(f"well, as user {root.user} on a root that cannot be written")
                    return
                assert running.poll() is None, "it ended"
            raise SystemExit("prove: HEALTHCHECK does not say that it is well")
        finally:
            running.terminate()
            running.wait()


if __name__ == "__main__":
    arguments = dict(one.split("=", 1) for one in sys.argv[2:])
    start(build(Path(sys.argv[1]).resolve(), arguments))
