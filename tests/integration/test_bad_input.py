"""Each fault gives a message that names the thing and the mend; the run goes on."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from label_studio_sdk.core.api_error import ApiError
from PIL import Image
from pydantic import SecretStr

from ml_backend.demo.projects import connect_backend, create_project
from ml_backend.errors import TokenRefusedError
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.labelstudio.client import access_headers
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.services import Services
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class


def upload(bench: Bench, project: int, name: str, content: bytes) -> str:
    with httpx.Client(base_url=bench.server.url, headers=access_headers(bench.client)) as session:
        sent = session.post(
            f"/api/projects/{project}/import?commit_to_project=false",
            files={"file": (name, content, "image/png")},
        ).json()
        listed = session.get(
            f"/api/projects/{project}/file-uploads", params={"ids": str(sent["file_upload_ids"])}
        ).json()
    return "/data/" + listed[0]["file"]


def add_task(bench: Bench, project: int, image: str) -> int:
    region = {
        "id": "r",
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["3"]},
    }
    body = [{"data": {"image": image}, "annotations": [{"result": [region]}]}]
    return import_tasks(bench.client, project, body)[0]


def test_broken_images_are_named_and_stop_nothing(bench: Bench):
    (scene,) = scenes(1, seed=31)
    project, (wrong,) = bench.project("detection", [wrong_class(scene)])
    missing = add_task(bench, project, "/data/upload/1/gone.png")
    broken = add_task(bench, project, upload(bench, project, "broken.png", b"no image at all"))
    elsewhere = add_task(bench, project, "http://169.254.169.254/latest/meta-data")
    outside = add_task(bench, project, "file:///etc/passwd")
    emptied = add_task(bench, project, "/data/upload/1/gone.png")
    bench.client.tasks.update(id=str(emptied), data={"other": "x"})

    run = bench.analyze(project)

    assert run.state == "done"
    assert bench.flag(wrong) == "needs-review"
    said = {int(task): text for task, text in run.errors.items()}
    assert set(said) == {missing, broken, elsewhere, outside, emptied}
    assert f"task {missing}" in said[missing]
    assert "check that the file is there" in said[missing]
    assert "is not an image that can be read" in said[broken]
    assert "not Label Studio" in said[elsewhere]
    assert "RELOOK_MEDIA_HOSTS" in said[elsewhere]
    assert "use Label Studio's local storage" in said[outside]
    assert f"task {emptied} has no image in the field that the config names" in said[emptied]
    assert all(bench.flag(task) is None for task in said)


def picture(kind: str, pixels: np.ndarray) -> bytes:
    """The same scene in another kind of file."""
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if kind == "grey.png":
        image.convert("L").save(buffer, "PNG")
    elif kind == "deep.png":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(buffer, "PNG")
    elif kind == "print.jpg":
        image.convert("CMYK").save(buffer, "JPEG", quality=95)
    elif kind == "moving.gif":
        image.save(buffer, "GIF", save_all=True, append_images=[image.rotate(90)])
    elif kind == "turned.jpg":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.rotate(90).save(buffer, "JPEG", quality=95, exif=exif)
    elif kind == "cut.png":
        image.save(buffer, "PNG")
        return buffer.getvalue()[:900]
    elif kind == "huge.png":
        return HUGE
    return buffer.getvalue()


#: The head of a picture of 60,000 x 60,000 pixels.
HEAD = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
DATA = b"IDAT" + bytes(8)
HUGE = b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for chunk in (HEAD, DATA)
)
READ = ("grey.png", "deep.png", "print.jpg", "moving.gif", "turned.jpg")
UNREAD = ("cut.png", "huge.png", "empty.png")


def test_pictures_of_every_kind_are_read_or_named(bench: Bench):
    (scene,) = scenes(1, seed=33)
    project, _ = bench.project("detection", [right(scene)])
    ids = {}
    for kind in READ + UNREAD:
        content = picture(kind, scene.image)
        ids[kind] = add_task(bench, project, upload(bench, project, kind, content or b" "))
    run = bench.analyze(project)
    assert run.state == "done", run
    said = {int(task): text for task, text in run.errors.items()}
    assert set(said) == {ids[kind] for kind in UNREAD}, said
    assert "60000 x 60000 pixels" in said[ids["huge.png"]]
    for kind in READ:
        (prediction,) = bench.predictions(ids[kind], run_version(bench, project))
        found = sorted(item["value"]["rectanglelabels"][0] for item in prediction.result)
        assert found == sorted(map(str, scene.label)), kind


def run_version(bench: Bench, project: int) -> str:
    return bench.client.projects.get(id=project).model_version


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits-classify.pt", "can answer for none of the tags 'label' (RectangleLabels)"),
        ("empty.pt", "model 'empty.pt' cannot be"),
        ("cut.pt", "model 'cut.pt' cannot be"),
        ("code.pt", "model 'code.pt' cannot be"),
        ("rubbish.onnx", "model 'rubbish.onnx'"),
        ("transformers:nothing", "nothing"),
        ("https://models.example/yolo", "RELOOK_MODEL_HOSTS"),
        ("os:system", "RELOOK_MODEL_CLASSES"),
    ],
)
def test_a_model_that_will_not_do_is_refused_where_the_admin_typed_it(bench: Bench, name, said):
    folder = bench.settings.model_dir
    whole = (folder / "digits-detect.pt").read_bytes()
    contents = {
        "empty.pt": b"",
        "cut.pt": whole[: len(whole) // 2],
        "code.pt": pickle.dumps(Hostile()),
        "rubbish.onnx": b"\x08\x07" + bytes(range(256)),
    }
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    (scene,) = scenes(1, seed=36)
    project, _ = create_project(bench.client, bench.server.url, "detection", "Bad", [right(scene)])
    try:
        connect_backend(bench.client, project, bench.stack.url, {"model": name})
    except ApiError as error:
        refused = str(error.body)
    else:
        # Label Studio waits three seconds; what takes longer to load is said by the run.
        bench.graph.start(project)
        refused = str(bench.wait_for_run(project).errors)
    assert said in refused
    assert not MARK.exists()


class Hostile:
    """A pickle that runs a command where it is opened."""

    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


MARK = Path("/tmp/relook-test-hostile-pickle-ran")


def test_a_label_the_model_does_not_know_is_said_once_and_not_scored(bench: Bench):
    (scene,) = scenes(1, seed=32)
    project, (task,) = bench.project("detection", [right(scene)])
    config = bench.client.projects.get(id=project).label_config
    config = config.replace('<Label value="0"', '<Label value="ink blot"/><Label value="0"', 1)
    bench.client.projects.update(id=project, label_config=config)
    (annotation,) = bench.task(task).annotations
    annotation["result"][0]["value"]["rectanglelabels"] = ["ink blot"]
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    bench.settle(project)

    run = bench.analyze(project)

    assert run.state == "done"
    (said,) = run.errors.values()
    assert "label 'ink blot' of 'label' has no class in model digits-detect@" in said
    assert "predicted_values" in said
    assert bench.flag(task) is None


def test_a_config_that_cannot_be_served_ends_the_run_with_its_reason(bench: Bench):
    project = bench.client.projects.create(
        title="Text only",
        label_config='<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>',
    ).id
    bench.mailbox.remember_setup(project, {"model": "digits-detect.pt"})
    bench.graph.start(project)
    run = bench.wait_for_run(project)
    assert run.state == "failed"
    assert "no control tag that Relook serves" in run.errors["run"]


def test_a_project_that_is_not_connected_says_where_to_connect_it(bench: Bench, configs):
    project = bench.client.projects.create(title="Lonely", label_config=configs["detection"]).id
    bench.graph.start(project)
    run = bench.wait_for_run(project)
    assert run.state == "failed"
    assert "Settings > Model" in run.errors["run"]


def test_a_wrong_token_is_named_with_the_mend(bench: Bench):
    settings = bench.settings.model_copy(
        update={
            "label_studio_api_key": SecretStr("f" * 40),
            "redis_url": SecretStr(bench.stack.redis_url),
        }
    )
    with pytest.raises(TokenRefusedError) as error:
        ProjectWork.open(Services(settings), 1)
    assert "LABEL_STUDIO_API_KEY" in str(error.value)
    assert "f" * 40 not in str(error.value)


def test_a_gone_project_ends_its_run(bench: Bench):
    bench.graph.start(999_999)
    assert bench.wait_for_run(999_999).state == "failed"


def test_a_newer_run_takes_the_place_of_one_under_way(bench: Bench):
    project, _ = bench.project("detection", [right(scene) for scene in scenes(3, seed=34)])
    older, newer = bench.graph.start(project), bench.graph.start(project)
    wait_for(lambda: bench.runs.read(newer.id).state == "done", "the newer run's end", 240)
    assert bench.runs.read(older.id).state == "superseded"


def test_events_while_label_studio_is_down_are_worked_on_when_it_is_back(bench: Bench):
    (scene,) = scenes(1, seed=35)
    project, (task,) = bench.project("detection", [wrong_class(scene)])
    body = {
        "action": "ANNOTATION_UPDATED",
        "project": {"id": project},
        "task": {"id": task},
        "annotation": {"id": 1},
    }
    bench.server.stop()
    try:
        assert httpx.post(bench.stack.url + "/webhook", json=body).status_code == 200
        failed = bench.mailbox.events.scheduled_job_registry
        wait_for(lambda: failed.count, "a job put off", 60)
        assert bench.mailbox.pending.count(project) == 1
    finally:
        bench.server.start()
    wait_for(lambda: bench.flag(task) == "needs-review", "the flag", 120)
    bench.settle(project)


def test_a_thousand_events_become_few_jobs(bench: Bench):
    project, (task,) = bench.project("detection", [right(scenes(1, seed=36)[0])])
    before = bench.mailbox.events.count
    for _ in range(1000):
        bench.mailbox.pending.add(project, [task])
    assert bench.mailbox.events.count - before < 50
    bench.settle(project)
    assert np.all(bench.flag(task) is None)
