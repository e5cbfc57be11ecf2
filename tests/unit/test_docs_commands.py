"""Every command in the documents is one: parsed as the shell would have it parsed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from ml_backend.commands.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Words that stand for what a reader fills in.
FILLED = {"PROJECT": "1", "RUN": "abc", "BATCH": "3-abc", "[BATCH]": "3-abc", "JSON": "{}"}
UsageError = typer.BadParameter.__base__
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:relook|make) [^`]+)`")


def commands(first):
    """All commands of one program, with the page that has them."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
        lines += [line.replace("\n", " ") for line in INLINE.findall(text)]
        for line in lines:
            words = shlex.split(line, comments=True)
            if words[:1] == [first] and "|" not in words:
                found.append((page.name, [FILLED.get(word, word) for word in words[1:]]))
    return found


def parsed(words):
    group = typer.main.get_command(app)
    name, *rest = words or ["--version"]
    if name.startswith("-"):
        assert name in {option for one in group.params for option in one.opts}
        return
    command = group.commands.get(name)
    if command is None:
        raise UsageError(f"no command {name}")
    # In a sentence a command may stand for itself.
    if rest:
        with command.make_context(name, rest):
            pass


@pytest.mark.parametrize(
    ("page", "words"), commands("relook"), ids=lambda one: one if isinstance(one, str) else None
)
def test_every_relook_command_is_one(page, words):
    parsed(words)


def test_a_wrong_one_would_be_noticed():
    for wrong in (
        ["analyse", "1"],
        ["analyze", "one"],
        ["batch", "1", "--topp", "2"],
        ["runs", "x"],
    ):
        with pytest.raises(UsageError):
            parsed(wrong)


def test_every_command_of_the_program_is_in_a_document():
    named = {words[0] for _, words in commands("relook") if words}
    assert set(typer.main.get_command(app).commands) <= named


@pytest.mark.parametrize(("page", "words"), commands("make"), ids=str)
def test_every_make_target_is_one(page, words):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wanted = [word for word in words if "=" not in word and not word.startswith("-")]
    assert set(wanted) <= set(targets)


def test_every_threat_names_tests_that_are_there():
    text = (ROOT / "docs" / "security.md").read_text()
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert head == "| threat | what stands against it | test |"
    there = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE))
    assert len(rows) >= 15
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row.rsplit(" | ", maxsplit=1)[-1]))
        assert named, f"no test: {row}"
        assert named <= there, sorted(named - there)


def test_every_page_is_in_the_site_once():
    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        inside = entry if isinstance(entry, list) else list(entry.values())
        return [page for one in inside for page in pages(one)]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_site_builds_without_a_warning(tmp_path):
    mkdocs = Path(sys.executable).parent / "mkdocs"
    command = [mkdocs, "build", "--strict", "--quiet", "--site-dir", tmp_path]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "settings" / "index.html").is_file()
