"""Regions of every kind through the real editor: drawn as written, and the same when saved."""

from __future__ import annotations

import base64
import io
from itertools import chain

import numpy as np
from label_studio_sdk import LabelStudio
from PIL import Image
from playwright.sync_api import Page

from analysis.geometry.masks import Masks
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.regions.results import decode, digest, encode, encode_choices
from ml_backend.labelstudio.regions.units import to_pixels
from ml_backend.outlines import Outlines
from tests.integration.test_browser import duplicate_and_submit

WIDTH, HEIGHT = 320, 200
LABELS = '<Label value="a" background="red"/><Label value="b" background="blue"/>'
IMAGE = (
    '<View><Image name="image" value="$image"/>'
    + "".join(
        f'<{tag} name="{tag}" toName="image">{LABELS}</{tag}>'
        for tag in ("RectangleLabels", "PolygonLabels", "BrushLabels", "KeyPointLabels")
    )
    + '<Choices name="Choices" toName="image" choice="multiple">'
    '<Choice value="x"/><Choice value="y"/></Choices></View>'
)
TEXT = f"""<View>
<Labels name="Labels" toName="text">{LABELS}</Labels><Text name="text" value="$text"/>
</View>"""
#: One character of two in JavaScript, one of two code points, and ends of lines of both kinds.
SAID = "🎉 Anna 👩🏽 met\r\nÖmer\nin Wien."


def disc(x, y, radius):
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    return (across - x) ** 2 + (down - y) ** 2 < radius**2


def regions(control):
    """Regions of one control tag: outlines and the joints or labels they carry."""
    outline = {
        "box": Outlines.of_rows([[10, 20, 60, 40, 0], [200, 60, 80, 30, 37.5]]),
        "polygon": Outlines.of_rows(
            [[10, 10, 90, 20, 50, 90], [200, 10, 300, 10, 300, 99, 210, 90]]
        ),
        "mask": Outlines.of_masks(Masks.from_dense([disc(80, 100, 30), disc(300, 190, 60)])),
        "point": Outlines.of_rows([[10, 10, 0], [20, 30, 0], [200, 10, 1], [210, 30, 1]]),
        "span": Outlines.of_rows([[2, 6], [7, 9], [SAID.index("Ö"), SAID.index("Ö") + 4]]),
    }[control.geometry]
    return outline, np.arange(len(outline), dtype=np.int32) % 2


def written(control, text):
    if control.geometry == "choice":
        return encode_choices(control, [0, 1], 0.9)
    outline, label = regions(control)
    score = np.full(len(label), 0.9, dtype=np.float32)
    return encode(control, label, score, outline, (WIDTH, HEIGHT), text=text)


def saved(page: Page, server, config: str, data: dict[str, str], result):
    """What the editor makes of a prediction that a person takes over as it is."""
    client = LabelStudio(base_url=server.url, api_key=server.token())
    project = client.projects.create(title="Regions", label_config=config).id
    made = client.projects.import_tasks(id=project, request=[{"data": data}], return_task_ids=True)
    (task,) = made.task_ids
    client.predictions.create(task=task, result=result, model_version="codec", score=0.9)
    page.goto(f"{server.url}/projects/{project}/data?task={task}")
    duplicate_and_submit(page, "codec")
    (annotation,) = client.tasks.get(id=str(task)).annotations
    return annotation["result"] if isinstance(annotation, dict) else annotation.result


def test_regions_of_an_image_survive_the_editor(page, label_studio):
    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(buffer, "PNG")
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    controls = parse_config(IMAGE).controls
    before = {control.name: written(control, None) for control in controls}
    after = saved(page, label_studio, IMAGE, {"image": address}, list(chain(*before.values())))
    for control in controls:
        mine = [item for item in after if item["from_name"] == control.name]
        assert digest([mine]) == digest([before[control.name]]), control.name
        if control.geometry == "choice":
            continue
        outline, label = regions(control)
        table = decode(control, [mine])
        size = np.tile(np.array([[WIDTH, HEIGHT]], dtype=np.int32), (len(table), 1))
        back = to_pixels(control.geometry, table.outline, size)
        found = {tuple(back[row].round(1)) for row in range(len(back))}
        assert found == {tuple(outline[row].round(1)) for row in range(len(outline))}
        assert sorted(table.label) == sorted(label)


def test_spans_survive_the_editor(page, label_studio):
    (control,) = parse_config(TEXT).controls
    # Without its words: what the editor finds at those places are the words.
    after = saved(page, label_studio, TEXT, {"text": SAID}, written(control, None))
    assert digest([after]) == digest([written(control, None)])
    assert [item["value"]["text"] for item in after] == ["Anna", "👩🏽", "Ömer"]
    assert [item["value"]["text"] for item in written(control, SAID)] == ["Anna", "👩🏽", "Ömer"]
