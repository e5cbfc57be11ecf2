"""The web server from its first request to its last, with images that stand in the tasks."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import redis
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import SecretStr

from ml_backend.demo.projects import CONFIGS
from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.runs.book import RunBook
from ml_backend.prediction import recent
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ServiceSettings
from ml_backend.storage.store import Store
from ml_backend.web import model_check
from ml_backend.web.app import create_app

MODELS = Path(recent.__file__).parents[1] / "demo" / "models"


@pytest.fixture
def settings(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        yield ServiceSettings(
            LABEL_STUDIO_URL="http://127.0.0.1:9",
            LABEL_STUDIO_API_KEY=SecretStr("token"),
            REDIS_URL=SecretStr(running.url),
            data_dir=tmp_path / "data",
            model_dir=MODELS,
            model="digits-detect.pt",
            threads=1,
        )


def address(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_predictions_are_answered_and_on_disk_when_the_server_has_ended(settings, monkeypatch):
    monkeypatch.setattr(recent.RecentPredictions.__init__, "__defaults__", (3600.0,))
    random = np.random.default_rng(0)
    shown = [address(draw_scene(split_digits()[1], random).image) for _ in range(12)]
    tasks = [{"id": n, "data": {"image": one}} for n, one in enumerate([*shown, "data:x,?"])]
    body = {"tasks": tasks, "project": "3.0", "label_config": CONFIGS["detection"]}
    with TestClient(create_app(settings)) as client:
        answer = client.post("/predict", json=body)
        assert answer.status_code == 200
        results = answer.json()["results"]
        version = ModelRegistry(settings).version("digits-detect.pt")
        assert {one["model_version"] for one in results[:12]} == {version}
        assert all(one["result"] and 0 < one["score"] <= 1 for one in results[:12])
        assert results[12] == []
    store = Store(settings.data_dir / "store")
    found, said = store.get_predictions(3, "label", f"{version}/box", np.arange(13))
    assert found.tolist() == [True] * 12 + [False]
    assert len(said.label)


def test_a_server_that_predicted_nothing_ends(settings):
    with TestClient(create_app(settings)) as client:
        assert client.get("/health").json()["status"] == "UP"
    assert not (settings.data_dir / "store").exists()


def test_fields_keep_their_names_once_a_project_has_been_analysed(settings):
    def setup(prefix):
        params = {"field_prefix": prefix}
        body = {"project": "3.0", "schema": CONFIGS["detection"], "extra_params": params}
        return client.post("/setup", json=body)

    with TestClient(create_app(settings)) as client:
        assert setup("first").status_code == 200
        assert setup("second").status_code == 200
        redis_url = settings.redis_url.get_secret_value()
        RunBook(redis.Redis.from_url(redis_url)).open(3)
        assert setup("second").status_code == 200
        refused = setup("third")
        assert refused.status_code == 400
        assert "stand in fields that begin with 'second'" in refused.json()["error"]


def test_a_model_that_will_not_do_is_refused_if_that_is_known_in_time(settings, monkeypatch):
    body = {
        "project": "3.0",
        "schema": CONFIGS["detection"],
        "extra_params": {"model": "digits-classify.pt"},
    }
    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr(model_check, "_LOADED_S", 0.0)
        late = client.post("/setup", json=body)
        assert late.status_code == 200
        assert late.json()["model_version"].startswith("digits-classify@")
        monkeypatch.setattr(model_check, "_LOADED_S", 600.0)
        refused = client.post("/setup", json=body)
        assert refused.status_code == 400
        assert "can answer for none of the tags" in refused.json()["error"]
        body["extra_params"]["model"] = "gone.pt"
        monkeypatch.setattr(model_check, "_LOADED_S", 0.0)
        assert "is not in the model folder" in client.post("/setup", json=body).json()["error"]
