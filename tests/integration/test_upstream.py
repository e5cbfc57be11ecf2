"""Other people's models: a real server of label-studio-ml, one of its classes, and hostile ones."""

import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from ml_backend.demo.projects import CONFIGS
from ml_backend.errors import ModelError
from ml_backend.labelstudio.config import parse_config
from ml_backend.outlines import boxes
from ml_backend.processes import ChildProcess, free_port
from ml_backend.upstream import remote as remote_module
from ml_backend.upstream.base import Answer, UpstreamTask
from ml_backend.upstream.columns import predictions_of
from ml_backend.upstream.remote import RemoteUpstream
from tests.hostile import POISON, HostileServer
from tests.integration.samples import scenes

ROOT = Path(__file__).parents[2]
NAMED = os.environ.get("RELOOK_ML_PYTHON")
ML_PYTHON = Path(NAMED) if NAMED else Path(sys.prefix).parent / ".venv-ml" / "bin" / "python"
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
CONFIG = CONFIGS["detection"]
CLASS = "tests.upstream_model:DigitBoxes"


def in_line(image) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def numbered(count):
    return [UpstreamTask(i, {"id": i, "data": {"image": f"{i}.png"}}) for i in range(1, count + 1)]


SCENES = scenes(20, seed=31)
TASKS = [
    UpstreamTask(i, {"id": i, "data": {"image": in_line(scene.image)}})
    for i, scene in enumerate(SCENES, 1)
]
BROKEN = UpstreamTask(99, {"id": 99, "data": {"image": "data:image/png;base64,bm90IGFuIGltYWdl"}})


class Served:
    """label-studio-ml's own server with the model of ``tests/upstream_model.py``."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None):
        self.port = free_port()
        self.folder = folder
        self.environment = ENV | (environment or {})
        self.host = f"127.0.0.1:{self.port}"
        self.start()

    def start(self):
        command = [ML_PYTHON, "-m", "tests.upstream_model", str(self.port), str(self.folder)]
        self.process = ChildProcess(
            "label-studio-ml", list(map(str, command)), self.folder / "log", self.environment
        )
        self.process.wait_ready(self.answers, 240)

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://{self.host}/health").json()["status"] == "UP"
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    assert ML_PYTHON.is_file(), f"{ML_PYTHON} is not there; run `make .venv-ml/.ready`"
    found = Served(tmp_path_factory.mktemp("label-studio-ml"))
    yield found
    found.process.stop()


@pytest.fixture
def remote(served):
    return RemoteUpstream(f"http://{served.host}", (served.host,), "http://127.0.0.1:8080")


@pytest.fixture(scope="module")
def hostile():
    with HostileServer() as server:
        yield server


def upstream(hostile, kind, patience=20.0):
    return RemoteUpstream(hostile.url(kind), (hostile.host,), patience=patience)


def digits_found(reply) -> list[str]:
    return sorted(region["value"]["rectanglelabels"][0] for region in reply.result)


def check_finds_the_digits(replies):
    right = 0
    for scene, reply in zip(SCENES, replies, strict=True):
        assert isinstance(reply, Answer)
        assert 0 < reply.score <= 1
        assert all(region["original_width"] == 160 for region in reply.result)
        right += digits_found(reply) == sorted(map(str, scene.label.tolist()))
    assert right >= 12, "the model of the test finds most scenes' digits"


def test_a_real_server_predicts(remote, served):
    version = remote.version(1, CONFIG)
    assert version == f"{served.host}@INITIAL"
    check_finds_the_digits(remote.predict(1, CONFIG, TASKS))


def test_its_boxes_lie_where_the_digits_are(remote):
    (control,) = parse_config(CONFIG).controls
    said = predictions_of(control, remote.predict(1, CONFIG, TASKS))
    assert said.size.tolist() == [[160, 160]] * len(TASKS)
    box = boxes(control.geometry, said.outline)
    apart = [
        np.abs(box[said.item == row] - true).max(axis=1).min()
        for row, scene in enumerate(SCENES)
        for true in scene.box
    ]
    assert np.mean(np.array(apart) < 5) > 0.8, "most digits have a box within five pixels"


def test_one_broken_image_costs_one_task(remote):
    *fine, broken = remote.predict(1, CONFIG, [*TASKS[:3], BROKEN])
    assert all(isinstance(reply, Answer) for reply in fine)
    assert isinstance(broken, ModelError)
    assert "task 99" in str(broken)
    assert "HTTP 500" in str(broken)


def test_a_server_that_was_started_anew_is_set_up_again(remote, served):
    served.process.stop()
    (gone,) = remote.predict(1, CONFIG, TASKS[:1])
    assert "cannot be reached" in str(gone)
    served.start()
    remote.version(1, CONFIG)
    served.process.stop()
    served.start()
    (reply,) = remote.predict(1, CONFIG, TASKS[:1])
    assert isinstance(reply, Answer)


IN_PROCESS = """
import json, sys
from ml_backend.upstream.base import Answer, UpstreamTask
from ml_backend.upstream.in_process import InProcessUpstream
name, config, tasks = json.load(sys.stdin)
upstream = InProcessUpstream(name, [name])
replies = upstream.predict(1, config, [UpstreamTask(task["id"], task) for task in tasks])
said = [[r.result, r.score, r.model_version] if isinstance(r, Answer) else str(r) for r in replies]
json.dump([upstream.version(1, config), said], sys.stdout)
"""


def run_in_process(tasks):
    done = subprocess.run(
        [ML_PYTHON, "-c", IN_PROCESS],
        input=json.dumps([CLASS, CONFIG, [task.body for task in tasks]]),
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_class_runs_in_process_and_says_what_its_server_says(remote):
    version, said = run_in_process([*TASKS, BROKEN])
    name, _, digest = version.partition("@")
    assert name == CLASS
    assert len(digest) == 8
    *fine, broken = said
    check_finds_the_digits([Answer(*one) for one in fine])
    served = remote.predict(1, CONFIG, TASKS)
    assert [one[0] for one in fine] == [reply.result for reply in served]
    assert CLASS in broken
    assert "task 99" in broken
    assert "UnidentifiedImageError" in broken


def test_our_token_never_leaves(hostile):
    tasks = numbered(2)
    good = RemoteUpstream(hostile.url("good"), (hostile.host,), "http://label-studio:8080")
    assert all(isinstance(reply, Answer) for reply in good.predict(1, CONFIG, tasks))
    assert not any("Authorization" in headers for headers in hostile.headers)


def test_a_user_in_the_address_is_used_and_never_named(hostile):
    address = hostile.url("user").replace("//", "//me:secret@")
    known = RemoteUpstream(address, (hostile.host,))
    (reply,) = known.predict(1, CONFIG, numbered(1))
    assert isinstance(reply, Answer)
    assert "secret" not in known.version(1, CONFIG)
    (refused,) = upstream(hostile, "user").predict(1, CONFIG, numbered(1))
    assert "user:password" in str(refused)


def test_the_version_is_asked_for_once(hostile):
    good = upstream(hostile, "good")
    before = hostile.asked.count("/good/setup")
    assert good.version(1, CONFIG) == f"{hostile.host}/good@good-1"
    good.version(1, CONFIG)
    good.predict(1, CONFIG, numbered(40))
    assert hostile.asked.count("/good/setup") == before + 1
    good.version(1, CONFIG + " ")
    assert hostile.asked.count("/good/setup") == before + 2


def test_a_backend_that_is_away_for_a_while_does_not_end_a_run(monkeypatch):
    monkeypatch.setattr(remote_module, "_VERSION_KEPT_S", 0.0)
    with HostileServer() as server:
        gone = upstream(server, "good")
        known = gone.version(1, CONFIG)
    assert gone.version(1, CONFIG) == known
    (reply,) = gone.predict(1, CONFIG, numbered(1))
    assert "cannot be reached" in str(reply)
    with pytest.raises(ModelError, match="cannot be reached"):
        gone.version(2, CONFIG)
    monkeypatch.setattr(remote_module, "_VERSION_HELD_S", 0.0)
    with pytest.raises(ModelError, match="cannot be reached"):
        gone.version(1, CONFIG)


def test_a_backend_that_forgot_its_setup_gets_it_again(hostile):
    forgetful = upstream(hostile, "forgetful")
    forgetful.version(1, CONFIG)
    for _ in range(2):
        (reply,) = forgetful.predict(1, CONFIG, numbered(1))
        assert isinstance(reply, Answer)


def test_batches_are_bounded_in_number_and_size(hostile):
    good = upstream(hostile, "good")
    before = hostile.asked.count("/good/predict")
    assert len(good.predict(1, CONFIG, numbered(40))) == 40
    assert hostile.asked.count("/good/predict") == before + 3
    large = [UpstreamTask(i, {"id": i, "data": {"text": "x" * (3 << 20)}}) for i in range(3)]
    assert len(good.predict(1, CONFIG, large)) == 3
    assert hostile.asked.count("/good/predict") == before + 6


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("endless", "more than 64 MiB"),
        ("bomb", "compresses its answer"),
        ("html", "with a web page"),
        ("text", "in JSON"),
        ("nested", "in JSON"),
        ("fails", "HTTP 500"),
        ("one_short", "0 predictions for 1 task"),
        ("no_results", "has no results"),
        ("a_list", "has no results"),
        ("other_schema", "result is"),
        ("strings", "cannot be read"),
        ("redirect", "is not followed"),
        ("nowhere", "is not followed"),
        ("missing", "has no such page"),
        ("breaks_off", "breaks off"),
        ("not_http", "breaks off"),
    ],
)
def test_a_liar_costs_one_clear_error_per_task(hostile, kind, said):
    before = hostile.asked.count("/good/predict")
    replies = upstream(hostile, kind).predict(1, CONFIG, numbered(3))
    assert len(replies) == 3
    for reply in replies:
        assert isinstance(reply, ModelError)
        assert said in str(reply)
        assert f"{hostile.host}/{kind}" in str(reply)
        assert len(str(reply)) < 600
    assert hostile.asked.count("/good/predict") == before, "no redirect is followed"


@pytest.mark.parametrize("kind", ["hang", "drip", "drip_head"])
def test_a_hung_backend_costs_two_time_outs_at_most(hostile, kind):
    before = hostile.asked.count(f"/{kind}/predict")
    began = time.monotonic()
    hung = upstream(hostile, kind, patience=1.0)
    replies = hung.predict(1, CONFIG, numbered(100))
    again = hung.predict(1, CONFIG, numbered(100))
    assert all("left alone for 60 s" in str(reply) for reply in again)
    # Without an end it would take a minute each.
    assert time.monotonic() - began < 30
    assert hostile.asked.count(f"/{kind}/predict") == before + 2
    assert len(replies) == 100
    assert all("does not answer /predict within 1 s" in str(reply) for reply in replies)


def test_a_slow_batch_does_not_hold_back_the_next(hostile):
    replies = upstream(hostile, "slow_on_one", patience=4.0).predict(1, CONFIG, numbered(20))
    assert all(isinstance(reply, ModelError) for reply in replies[:16])
    assert all(isinstance(reply, Answer) for reply in replies[16:])


@pytest.mark.parametrize("kind", ["nan", "infinite", "beyond", "nameless", "surrogate", "poisoned"])
def test_one_task_at_fault_costs_one_task(hostile, kind):
    replies = upstream(hostile, kind).predict(1, CONFIG, numbered(20))
    wrong = [task for task, reply in enumerate(replies, 1) if isinstance(reply, ModelError)]
    assert wrong == [POISON]
    assert f"task {POISON}" in str(replies[POISON - 1])


def test_no_prediction_of_a_task_is_no_error(hostile):
    replies = upstream(hostile, "silent").predict(1, CONFIG, numbered(5))
    assert [reply is None for reply in replies] == [False, False, True, False, False]


def test_of_several_predictions_the_best_is_taken(hostile):
    (reply,) = upstream(hostile, "several").predict(1, CONFIG, numbered(1))
    assert reply.score == 0.9


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("setup_fails", "HTTP 500"),
        ("setup_html", "with a web page"),
        ("setup_hang", "does not answer /setup within 1.8 s"),
        ("setup_a_list", "to /setup"),
        ("setup_redirect", "is not followed"),
    ],
)
def test_a_version_that_cannot_be_had_is_said_in_time(hostile, kind, said):
    bad = upstream(hostile, kind, patience=1.0)
    began = time.monotonic()
    with pytest.raises(ModelError, match=said):
        bad.version(1, CONFIG)
    # One that hangs would take a minute.
    assert time.monotonic() - began < 20
    replies = bad.predict(1, CONFIG, numbered(2))
    assert [type(reply) is not Answer and reply is not None for reply in replies] == [True, True]


def test_nobody_listens():
    host = f"127.0.0.1:{free_port()}"
    nobody = RemoteUpstream(f"http://{host}", (host,))
    with pytest.raises(ModelError, match="cannot be reached"):
        nobody.version(1, CONFIG)
