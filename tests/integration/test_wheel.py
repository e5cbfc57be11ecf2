"""The packages as a stranger gets them: built, installed in an empty environment, started."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest

from hatch_build import stale
from ml_backend import __version__
from ml_backend.processes import ChildProcess, free_port

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, **options: Any) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with Relook from its wheel, and what it needs from ours: no 7 GB twice."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel)
    lib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(lib, "zz-ours.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def outside(folder: Path, **variables: str) -> dict[str, Any]:
    """Options that run a command where no checkout is."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {"cwd": folder, "env": {**kept, **variables}}


def test_both_packages_hold_the_code_and_the_demos_models_and_nothing_of_the_tests(built: Path):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "analysis",
        "ml_backend",
        f"relook-{__version__}.dist-info",
    }
    assert "ml_backend/demo/models/digits-detect.pt" in names
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        held = {name.split("/", 1)[1] for name in packed.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "ml_backend/commands/cli.py"} <= held
    assert not [name for name in held if name.startswith(".venv")]


def test_the_page_is_inside(built: Path):
    (wheel,) = built.glob("*.whl")
    page = ROOT / "ml_backend" / "web" / "static"
    here = {p.relative_to(ROOT).as_posix() for p in page.rglob("*") if p.is_file()}
    assert "ml_backend/web/static/index.html" in here
    assert here <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    ("newest", "expected"),
    [("built", False), ("page/src/a.ts", True), ("page/src", True), ("page/node_modules", False)],
)
def test_a_page_that_is_older_than_its_sources_is_built_again(tmp_path, newest, expected):
    (tmp_path / "page" / "src").mkdir(parents=True)
    (tmp_path / "page" / "node_modules").mkdir()
    assert stale(tmp_path / "page", tmp_path / "built")
    for name in ("page/src/a.ts", "built"):
        (tmp_path / name).touch()
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.utime(path, (1, 2 if path == tmp_path / newest else 1))
    assert stale(tmp_path / "page", tmp_path / "built") == expected


def test_what_the_code_imports_is_what_the_wheel_requires(built: Path):
    """The installed one sees our packages too, and would miss none."""
    (wheel,) = built.glob("*.whl")
    held = zipfile.ZipFile(wheel)
    imported = {
        name.split(".")[0]
        for file in held.namelist()
        if file.endswith(".py")
        for node in ast.walk(ast.parse(held.read(file)))
        for name in _imports(node)
    }
    metadata = held.read(f"relook-{__version__}.dist-info/METADATA").decode()
    lines = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)$", metadata, re.MULTILINE)
    required = {_plain(name) for name, rest in lines if not re.search("extra == .(dev|docs)", rest)}
    known = packages_distributions()
    foreign = imported - set(sys.stdlib_module_names) - {"analysis", "ml_backend"}
    missing = {
        name for name in foreign if not {_plain(one) for one in known.get(name, [name])} & required
    }
    assert not missing


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    own = isinstance(node, ast.ImportFrom) and node.level == 0
    return [str(node.module)] if own else []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_its_command_names_its_commands_outside_the_checkout(installed: Path, tmp_path: Path):
    said = run(installed / "bin" / "relook", "--help", **outside(tmp_path))
    for name in ("start", "serve", "worker", "analyze", "doctor", "batch", "demo"):
        assert name in said
    where = run(
        installed / "bin" / "python",
        "-c",
        "import ml_backend; print(ml_backend.__file__)",
        **outside(tmp_path),
    )
    assert Path(where.strip()).is_relative_to(installed)


def test_relook_start_answers_outside_the_checkout(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    variables = {
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "LABEL_STUDIO_API_KEY": "none",
        "RELOOK_PORT": str(port),
    }
    options = outside(tmp_path, **variables)
    started = ChildProcess(
        "relook start",
        [str(installed / "bin" / "relook"), "start"],
        tmp_path / "start.log",
        options["env"],
    )
    try:
        started.wait_ready(lambda: healthy(port), timeout=240)
        said = httpx.get(f"http://127.0.0.1:{port}/health").json()
        assert said == {"status": "UP", "model_class": "Relook", "version": __version__}
        page = httpx.get(f"http://127.0.0.1:{port}/page/").text
        (script,) = re.findall(r'src="(/page/assets/[^"]+\.js)"', page)
        assert httpx.get(f"http://127.0.0.1:{port}{script}").status_code == 200
    finally:
        started.stop()
    assert (tmp_path / ".relook" / "logs").is_dir()


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
