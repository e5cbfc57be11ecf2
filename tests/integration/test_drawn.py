"""Pre-labels as a person sees them: drawn by Label Studio's editor over the things they name."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor
from playwright.sync_api import Page, expect
from scipy import ndimage

from ml_backend.demo.projects import connect_backend
from ml_backend.labelstudio.client import access_headers
from tests import shapes
from tests.integration.conftest import Bench, wait_for
from tests.integration.label_types import TEXT, labels
from tests.integration.samples import scenes
from tests.sentences import ENTITIES, TOPICS, joined, sentences
from tests.text_models import make_classifier, make_tagger

#: No shape has the colour of its own label; outlines are drawn alone, without their tint.
COLOURS = ("cyan", "magenta", "yellow")
LINE = 'opacity="0" strokeWidth="3"'


@dataclass(frozen=True)
class Drawn:
    """What the editor shows of an image, and how large.

    Attributes:
        picture: int (h, w, 3), RGB, one row per screen pixel.
        scale: screen pixels per pixel of the image.
    """

    picture: NDArray[np.int64]
    scale: float

    def painted(self, colour: str, least: int = 100) -> NDArray[np.bool_]:
        """Return where the colour is: its channels stand out by at least so much, (h, w)."""
        own = np.array(ImageColor.getrgb(colour)) == 255
        return self.picture[..., own].min(-1) - self.picture[..., ~own].max(-1) > least

    def enlarged(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask of the image's pixels, (H, W), in pixels of the screen, (h, w)."""
        place = [
            np.minimum((np.arange(side) + 0.5) / self.scale, most - 1).astype(int)
            for side, most in zip(self.picture.shape, mask.shape, strict=False)
        ]
        return mask[np.ix_(*place)]


expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def text_models(model_dir: Path) -> None:
    for name, make in (("drawn-tagger", make_tagger), ("drawn-topics", make_classifier)):
        make(model_dir / name)
    make_classifier(model_dir / "drawn-named", multiple=True)


def test_turned_boxes_lie_on_the_plates(page, bench):
    (scene,) = shapes.draw_scenes("plates", 1, seed=11, wanted=(3, 3))
    config = of_image("RectangleLabels", shapes.CLASSES["plates"], f'model_obb="true" {LINE}')
    drawn = show(page, bench, config, "plates-obb.pt", png(scene.image))
    assert_outlined(drawn, scene.mask, scene.label)


def test_polygons_lie_around_the_rounds(page, bench):
    (scene,) = shapes.draw_scenes("rounds", 1, seed=11, wanted=(3, 3))
    config = of_image("PolygonLabels", shapes.CLASSES["rounds"], LINE)
    drawn = show(page, bench, config, "rounds-segment.pt", png(scene.image))
    assert_outlined(drawn, scene.mask, scene.label)


def test_masks_cover_the_rounds(page, bench):
    (scene,) = shapes.draw_scenes("rounds", 1, seed=11, wanted=(3, 3))
    config = of_image("BrushLabels", shapes.CLASSES["rounds"])
    drawn = show(page, bench, config, "rounds-segment.pt", png(scene.image))
    for label in np.unique(scene.label):
        painted = drawn.painted(COLOURS[label], least=50)
        truth = drawn.enlarged(scene.mask[scene.label == label].any(0))
        overlap = (painted & truth).sum() / (painted | truth).sum()
        assert overlap > 0.85, (COLOURS[label], overlap)


def test_key_points_lie_on_the_dots(page, bench):
    (scene,) = shapes.draw_scenes("needles", 1, seed=11, wanted=(2, 2))
    config = of_image("KeyPointLabels", ("head", "middle", "tail"))
    drawn = show(page, bench, config, "needles-pose.pt", png(scene.image))
    for joint, colour in enumerate(COLOURS[: shapes.JOINTS]):
        found, count = ndimage.label(drawn.painted(colour))
        spots = np.array(ndimage.center_of_mass(found > 0, found, range(1, count + 1)))
        at = spots[:, ::-1] / drawn.scale
        away = np.linalg.norm(at[:, None] - scene.joints[None, :, joint, :2], axis=-1)
        assert count == len(scene.label), (colour, at)
        # A dot of a needle has a radius of 5 pixels.
        assert (away.min(axis=0) < 3).all(), (colour, away)


@pytest.mark.parametrize("turned", [False, True], ids=["as stored", "turned by its EXIF tag"])
def test_upright_boxes_lie_on_the_digits(page, bench, turned):
    # Nothing is in the lower part of this one. Wider than high: exchanged sides would show.
    scene = scenes(51)[-1]
    image = scene.image[:115]
    assert scene.box.max(axis=0)[3] < len(image)
    config = of_image("RectangleLabels", "0123456789", LINE)
    drawn = show(page, bench, config, "digits-detect.pt", sideways(image) if turned else png(image))
    down, across = np.mgrid[: image.shape[0], : image.shape[1]]
    x0, y0, x1, y1 = scene.box.T[..., None, None]
    mask = (across >= x0) & (across < x1) & (down >= y0) & (down < y1)
    assert_outlined(drawn, mask, scene.label)


def test_spans_are_highlighted_on_the_names(page, bench, text_models):
    # In JavaScript the first characters have lengths of 2 and 4; Label Studio shows lines apart.
    said = joined([one for one in sentences(40, seed=5) if len(one.spans) >= 2][:4], "\r\n")
    config = f'<View><Labels name="label" toName="object">{labels(ENTITIES)}</Labels>{TEXT}</View>'
    open_task(page, bench, config, "transformers:drawn-tagger", f"🎉 👩🏽\r\n\r\n{said.text}")
    marks = page.locator(".htx-highlight")
    expect(marks).to_have_text([said.text[start:end] for start, end, _ in said.spans])
    for number, (_, _, label) in enumerate(said.spans):
        expect(marks.nth(number)).to_have_attribute("data-label", f"{number + 1}:{label}")


@pytest.mark.parametrize("choice", ["single", "single-radio", "multiple"])
def test_the_right_choices_are_ticked(page, bench, text_models, choice):
    said = next(one for one in sentences(40, seed=5) if len({label for *_, label in one.spans}) > 1)
    several = choice == "multiple"
    names = ENTITIES if several else TOPICS
    right = {label for *_, label in said.spans} if several else {said.topic}
    config = f'<View>{TEXT}<Choices name="label" toName="object" choice="{choice}">'
    config += f"{labels(names, 'Choice')}</Choices></View>"
    model = "transformers:drawn-named" if several else "transformers:drawn-topics"
    open_task(page, bench, config, model, said.text)
    boxes = page.locator(".ant-checkbox-input, .ant-radio-input")
    expect(boxes).to_have_count(len(names))
    for number, name in enumerate(names):
        expect(boxes.nth(number)).to_be_checked(checked=name in right)


def assert_outlined(drawn: Drawn, mask: NDArray[np.bool_], label: NDArray[np.int32]) -> None:
    """The lines of each colour and the true edges of its objects are the same, to pixels."""
    hue = label % len(COLOURS)
    for own in np.unique(hue):
        painted = drawn.painted(COLOURS[own])
        edge = np.zeros_like(painted)
        for one in mask[hue == own]:
            whole = ndimage.binary_fill_holes(drawn.enlarged(one))
            edge |= whole & ~ndimage.binary_erosion(whole)
        assert painted.any(), COLOURS[own]
        for these, those in ((painted, edge), (edge, painted)):
            # Pixels of the image: what the models are off by where they are right.
            away = ndimage.distance_transform_edt(~those)[these] / drawn.scale
            assert away.max() < 2.5, (COLOURS[own], away.max())
            assert away.mean() < 1.0, (COLOURS[own], away.mean())


def of_image(tag: str, names: Sequence[str], extra: str = "") -> str:
    inside = "".join(
        f'<Label value="{name}" background="{COLOURS[n % len(COLOURS)]}" model_index="{n}"/>'
        for n, name in enumerate(names)
    )
    return (
        f'<View><{tag} name="label" toName="object" {extra}>{inside}</{tag}>'
        f'<Image name="object" value="$object"/></View>'
    )


def open_task(
    page: Page, bench: Bench, config: str, model: str, item: str | Callable[[int], str]
) -> None:
    """Open the only task of a new project, which asks the backend for its pre-label."""
    project = int(bench.client.projects.create(title="Drawn", label_config=config).id)
    said = item if isinstance(item, str) else item(project)
    made = bench.client.projects.import_tasks(
        id=project, request=[{"data": {"object": said}}], return_task_ids=True
    )
    connect_backend(bench.client, project, bench.stack.url, {"model": model})
    (task,) = made.task_ids
    assert not bench.predictions(task)
    page.goto(f"{bench.server.url}/projects/{project}/data?task={task}")
    wait_for(lambda: bench.predictions(task), "a pre-label")


def show(page: Page, bench: Bench, config: str, model: str, file: tuple[str, bytes]) -> Drawn:
    """Photograph the image in the editor once its pre-label is drawn."""
    open_task(page, bench, config, model, lambda project: uploaded(bench, project, file))
    page.locator(".lsf-outliner-item").first.wait_for()
    image = page.locator("img[alt=image]")
    bare: list[bytes] = []

    def photograph() -> Drawn | None:
        # Out from under the bar at the bottom.
        image.evaluate("shown => shown.scrollIntoView({block: 'start'})")
        box = image.bounding_box()
        if not box or not box["width"]:
            return None
        bare.append(page.screenshot(clip=box))
        # Regions appear one after the other: it is done when nothing changes any more.
        if len(bare) < 3 or len(set(bare[-3:])) > 1:
            return None
        pixels = np.asarray(Image.open(io.BytesIO(bare[-1])).convert("RGB")).astype(int)
        natural = image.evaluate("shown => shown.naturalWidth")
        return Drawn(pixels, box["width"] / natural)

    return wait_for(photograph, "a drawing that stands still")


def uploaded(bench: Bench, project: int, file: tuple[str, bytes]) -> str:
    """Upload a file as it is; return its address."""
    headers = access_headers(bench.client)
    with httpx.Client(base_url=bench.server.url, headers=headers, timeout=60) as session:
        sent = session.post(
            f"/api/projects/{project}/import?commit_to_project=false", files={"file": file}
        )
        ids = json.dumps(sent.raise_for_status().json()["file_upload_ids"])
        listed = session.get(f"/api/projects/{project}/file-uploads", params={"ids": ids})
        (upload,) = listed.raise_for_status().json()
    return f"/data/{upload['file']}"


def png(image: NDArray[np.uint8]) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "image.png", buffer.getvalue()


def sideways(image: NDArray[np.uint8]) -> tuple[str, bytes]:
    """The image as a camera held upright stores it: on its side, and told so by EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(image)).save(buffer, "JPEG", exif=exif, quality=95)
    return "image.jpg", buffer.getvalue()
