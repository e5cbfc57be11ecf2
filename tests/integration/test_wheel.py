"""The packages as a stranger gets them: built, installed in an empty environment, started."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

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


def test_the_page_is_inside_where_it_is_built(built: Path):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    page = ROOT / "ml_backend" / "web" / "static"
    if not (page / "index.html").is_file():
        pytest.skip("the page is not built")
    here = {p.relative_to(ROOT).as_posix() for p in page.rglob("*") if p.is_file()}
    assert here <= names


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
    finally:
        started.stop()
    assert (tmp_path / ".relook" / "logs").is_dir()


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
