"""Official checkpoints by name; in place of Ultralytics' server stands a copy of a file."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml_backend.errors import ModelError
from ml_backend.predictors import fetching, yolo_files
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ServiceSettings

DETECT = Path(fetching.__file__).parents[1] / "demo" / "models" / "digits-detect.pt"


class Server:
    """What stands for the publisher: answers when it may, and counts what it is asked."""

    def __init__(self):
        self.asked = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error = None

    def give(self, path, progress):
        assert progress is False
        self.asked.append(path.name)
        assert self.may_answer.wait(10)
        if self.error:
            raise self.error
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(DETECT, part)
        part.replace(path)


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(yolo_files, "attempt_download_asset", server.give)
    return server


def models(folder, patient=True, downloads=True):
    settings = ServiceSettings(
        model_dir=folder / "models", data_dir=folder / "data", downloads=downloads
    )
    return ModelRegistry(settings, patient)


def test_an_official_name_is_fetched_once_and_served(server, tmp_path):
    known = models(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        versions = set(pool.map(known.version, ["yolo11n.pt"] * 4))
    assert server.asked == ["yolo11n.pt"]
    assert known.get("yolo11n.pt").version == versions.pop()
    assert not versions
    # The model folder may be one that nobody can write to.
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert [path.name for path in (tmp_path / "data" / "models").iterdir()] == ["yolo11n.pt"]


def test_what_has_come_meanwhile_is_not_asked_for_again(server, tmp_path):
    on_its_way = fetching.Fetching(tmp_path, patient=True)
    assert on_its_way.fetch("yolo11n.pt")
    assert on_its_way.fetch("yolo11n.pt")
    assert server.asked == ["yolo11n.pt"]


def test_who_cannot_wait_is_told_that_it_is_on_its_way(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_WAIT_S", 0.05)
    server.may_answer.clear()
    known = models(tmp_path, patient=False)
    for ask in (known.version, known.get, known.version):
        begin = time.monotonic()
        with pytest.raises(ModelError, match=r"'yolo11n\.pt' is being fetched from Ultralytics"):
            ask("yolo11n.pt")
        assert time.monotonic() - begin < 2
    assert server.asked == ["yolo11n.pt"]
    server.may_answer.set()
    end = time.monotonic() + 10
    while not (tmp_path / "data" / "models" / "yolo11n.pt").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert known.version("yolo11n.pt").startswith("yolo11n@")


def test_a_download_that_failed_is_said_and_tried_again_later(server, tmp_path, monkeypatch):
    known = models(tmp_path)
    server.error = ConnectionError("no network")
    for _ in range(3):
        with pytest.raises(ModelError, match=r"cannot be fetched \(no network\)"):
            known.version("yolo11n.pt")
    assert server.asked == ["yolo11n.pt"]
    server.error = None
    monkeypatch.setattr(fetching, "_PAUSE_S", 0.0)
    assert known.version("yolo11n.pt").startswith("yolo11n@")


def test_a_file_that_was_taken_away_is_fetched_again(server, tmp_path):
    known = models(tmp_path)
    version = known.version("yolo11n.pt")
    (tmp_path / "data" / "models" / "yolo11n.pt").unlink()
    assert known.version("yolo11n.pt") == version
    assert server.asked == ["yolo11n.pt"] * 2


@pytest.mark.parametrize(
    "name",
    [
        "",
        "mine.pt",
        "yolo11n.onnx",
        "../yolo11n.pt",
        "sub/yolo11n.pt",
        "/tmp/yolo11n.pt",
        "yolo11n.pt\0",
        "\ud800.pt",
        "x" * 5000 + ".pt",
        "http://elsewhere.example/yolo11n.pt",
        "timm:yolo11n.pt",
    ],
)
def test_nothing_else_is_fetched(server, tmp_path, name):
    with pytest.raises(ModelError):
        models(tmp_path).version(name)
    assert server.asked == []


def test_nothing_is_fetched_where_the_owner_did_not_allow_it(server, tmp_path):
    with pytest.raises(ModelError, match="is not in the model folder"):
        models(tmp_path, downloads=False).version("yolo11n.pt")
    assert server.asked == []


def test_what_was_fetched_is_used_only_where_that_is_allowed(server, tmp_path):
    models(tmp_path).version("yolo11n.pt")
    with pytest.raises(ModelError, match="is not in the model folder"):
        models(tmp_path, downloads=False).version("yolo11n.pt")


def test_a_file_of_that_name_goes_first(server, tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copy(DETECT, tmp_path / "models" / "yolo11n.pt")
    assert models(tmp_path).version("yolo11n.pt").startswith("yolo11n@")
    assert server.asked == []
