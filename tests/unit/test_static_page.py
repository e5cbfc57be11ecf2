"""The built page: its own files and nothing beside them."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ml_backend.web.static_page import static_page


@pytest.fixture
def client(tmp_path):
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "app-1a2b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    app = FastAPI()
    app.include_router(static_page(folder))
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/page/", "/page", "/page/projects/7?colour=kind"])
def test_every_view_is_the_page(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>the page")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_files_named_by_what_they_hold_are_kept_for_good(client):
    answer = client.get("/page/assets/app-1a2b.js")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert "javascript" in answer.headers["Content-Type"]


@pytest.mark.parametrize(
    "path",
    [
        *("/page/assets/gone.js", "/page/../secret.txt", "/page/%2e%2e/secret.txt"),
        *("/page/link.txt", "/page//etc/passwd.txt", "/page/..%2fsecret.txt"),
    ],
)
def test_nothing_else_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace(path, "")


def test_a_page_that_was_not_built_says_so(tmp_path):
    app = FastAPI()
    app.include_router(static_page(tmp_path))
    answer = TestClient(app).get("/page/")
    assert answer.status_code == 404
    assert "make page" in answer.text
