"""Images in an S3 storage of Label Studio: analysed, shown, and sent to be labelled again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from ml_backend.commands.stack import Stack
from ml_backend.demo.projects import CONFIGS, SampleTask, human_result
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.processes import free_port
from ml_backend.services import Services
from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_batches import relabel_tasks, send
from tests.integration.test_page_api import signed_in
from tests.moto import put, s3_server

__all__ = ["signed_in"]

BUCKET = "photos"
#: In standard base64 this one is written with a plus, which a query reads as a space.
NAMES = ("写真/1~.png", "2.png")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("moto"), BUCKET) as url:
        yield url


@pytest.fixture(scope="module")
def bench(bench: Bench, storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One whose owner has named the storage on this machine."""
    settings = bench.settings.model_copy(
        update={
            "media_hosts": (storage.removeprefix("http://"),),
            "data_dir": tmp_path_factory.mktemp("cloud"),
            "port": free_port(),
        }
    )
    with Stack(settings) as stack:
        yield replace(bench, settings=settings, stack=stack)


def png(sample: SampleTask) -> bytes:
    file = io.BytesIO()
    Image.fromarray(sample.image).save(file, "PNG")
    return file.getvalue()


def of_storage(bench: Bench, url: str, samples: list[SampleTask]) -> tuple[int, list[int]]:
    """Make a project whose images lie in the bucket."""
    project = int(
        bench.client.projects.create(title="Cloud", label_config=CONFIGS["detection"]).id or 0
    )
    bench.client.import_storage.s3.create(
        project=project,
        bucket=BUCKET,
        s3endpoint=url,
        aws_access_key_id="one",
        aws_secret_access_key="two",
        region_name="us-east-1",
        use_blob_urls=True,
    )
    body = []
    for name, sample in zip(NAMES, samples, strict=True):
        put(f"{url}/{BUCKET}/{name}", png(sample))
        data = {"image": f"s3://{BUCKET}/{name}"}
        body.append({"data": data, "annotations": [{"result": human_result("detection", sample)}]})
    tasks = import_tasks(bench.client, project, body)
    bench._connect(project, {"model": "digits-detect.pt"})
    return project, tasks


def test_images_in_a_bucket_are_analysed_shown_and_sent_out(
    bench: Bench, storage: str, signed_in: httpx.Client
):
    drawn = scenes(2, seed=51)
    samples = [wrong_class(drawn[0]), right(drawn[1])]
    project, (wrong, good) = of_storage(bench, storage, samples)
    run = bench.analyze(project)
    assert (run.state, run.errors) == ("done", {})
    bench.settle(project)
    assert [bench.flag(task) for task in (wrong, good)] == ["needs-review", None]

    picture = signed_in.get(f"/api/projects/{project}/tasks/{wrong}/image")
    assert picture.status_code == 200, picture.text
    search = {"q": "写真"}
    assert signed_in.get(f"/api/projects/{project}/search", params=search).json()["tasks"] == [
        wrong
    ]

    sent = send(bench, project)
    assert sent["sent"] == 1
    copy = relabel_tasks(bench, sent["batch"])[wrong]
    media = Services(bench.settings).media
    (file,) = media.fetch_all([copy.id], [copy.data["image"]])
    (opened,) = media.decode_all([file])
    np.testing.assert_array_equal(opened, samples[0].image)
    with httpx.Client(base_url=bench.server.url, follow_redirects=True) as person:
        bench.server.sign_in(person)
        assert person.get(copy.data["image"]).content == png(samples[0])
