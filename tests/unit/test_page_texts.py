"""Texts on the review page: of each task, what each control tag labels."""

import numpy as np

from ml_backend.jobs.project.noting import Noting
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.tasks.reader import Project, _page
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, ServiceSettings
from ml_backend.web.api.tasks import _text

CONFIG = parse_config(
    '<View><Text name="t" value="$title"/><Text name="b" value="$body"/>'
    '<Text name="f" value="$file" valueType="url"/><Image name="i" value="$image"/>'
    + "".join(
        f'<Labels name="{name}" toName="{name[0]}"><Label value="a"/></Labels>'
        for name in ("title", "body", "file")
    )
    + '<RectangleLabels name="image" toName="i"><Label value="a"/></RectangleLabels></View>'
)
DAY = "2026-01-02T03:04:05Z"


def noted(folder, *data):
    """What the page keeps of tasks with such data, and the control tags by name."""
    tasks = [
        {
            **{"id": 1 + n, "data": one, "predictions": [], "annotations": []},
            **{"created_at": DAY, "updated_at": DAY},
        }
        for n, one in enumerate(data)
    ]
    services = Services(ServiceSettings(data_dir=folder))
    project = Project(3, "texts", CONFIG, "", len(tasks), 1)
    page = _page(tasks, CONFIG, "relook")
    Noting(services, project, ProjectSettings()).read(page, np.full(len(tasks), ""))
    return services.page, {one.name: one for one in CONFIG.controls}


def test_each_control_tag_has_its_own_text(tmp_path):
    title, body = "An odd\x1ftitle", "Ada\nmet Alan.\n" + "x" * 3000
    kept, control = noted(
        tmp_path,
        {"title": title, "body": body, "file": "/data/a.txt", "image": "/data/a.png"},
        {"body": "alone"},
    )
    first, second = kept.tasks(3).to_pylist()
    # Spans count characters: none may be lost before another.
    assert _text(control["title"], first) == "An odd title"
    assert _text(control["body"], first) == body[:2000]
    assert _text(control["title"], second) == ""
    assert _text(control["body"], second) == "alone"
    # What stands behind an address is not kept, and an image is no text.
    assert _text(control["file"], first) == ""
    assert _text(control["image"], first) is None
    assert kept.search(3, "ODD", 10).tolist() == kept.search(3, "met alan", 10).tolist() == [1]
    assert kept.search(3, "a.txt", 10).tolist() == [1]
    assert kept.search(3, "body", 10).tolist() == []
