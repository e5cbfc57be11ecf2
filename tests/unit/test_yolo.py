"""Ultralytics checkpoints of every task, on scenes whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from ultralytics import YOLO

from analysis.geometry.masks import Masks
from analysis.geometry.shapes import Polygons, iou
from ml_backend.demo.scenes import draw_digit, draw_scene, split_digits
from ml_backend.errors import ModelError
from ml_backend.predictors.base import SCORE_FLOOR, Predictions
from ml_backend.predictors.yolo import YoloPredictor
from tests.models.train import MODELS
from tests.shapes import CLASSES, JOINTS, SIZE, Scene, draw_scenes

DEMO = Path(__file__).parents[2] / "ml_backend" / "demo" / "models"
TRAINED = Path(__file__).parents[1] / "models"
FILES = {
    "detect": DEMO / "digits-detect.pt",
    "classify": DEMO / "digits-classify.pt",
    "obb": TRAINED / "plates-obb.pt",
    "segment": TRAINED / "rounds-segment.pt",
    "pose": TRAINED / "needles-pose.pt",
}
KIND = {"obb": "plates", "segment": "rounds", "pose": "needles"}
SURE = 0.5
#: What no scene of a test was trained on.
SEED = 7
SHAPES = [(1, 1), (1, 3), (1, 999), (777, 1), (4000, 20), (31, 33), (200, 90)]


@pytest.fixture(scope="module")
def models() -> dict[str, YoloPredictor]:
    return {task: YoloPredictor(path, f"{task}@0", 1) for task, path in FILES.items()}


def images_of(task: str, count: int = 6) -> list[np.ndarray]:
    if task in KIND:
        return [scene.image for scene in draw_scenes(KIND[task], count, SEED)]
    random = np.random.default_rng(SEED)
    digits = split_digits()[1]
    if task == "classify":
        return [draw_digit(digits, row, random) for row in range(count)]
    return [draw_scene(digits, random).image for _ in range(count)]


def mask_table(said: Predictions, rows: np.ndarray) -> Masks:
    numbers = [said.outline[row] for row in rows]
    runs = [one[2:].reshape(-1, 2) for one in numbers]
    return Masks(
        np.cumsum([0, *map(len, runs)]),
        np.concatenate([*runs, np.empty((0, 2))]).astype(np.int64),
        np.array([one[:2] for one in numbers]).reshape(-1, 2),
    )


def best_overlaps(truth, label, said, said_label) -> np.ndarray:
    """For each true shape the IoU of the best region of its class."""
    a, b = (grid.ravel() for grid in np.mgrid[: len(truth), : len(said)])
    table = iou(truth, said, a, b).reshape(len(truth), len(said))
    return (table * (label[:, None] == said_label)).max(axis=1, initial=0)


def sure_rows(said: Predictions, image: int) -> np.ndarray:
    return np.flatnonzero((said.item == image) & (said.score > SURE))


@pytest.mark.parametrize(
    ("task", "serves"),
    [
        ("detect", {"box"}),
        ("obb", {"box"}),
        ("segment", {"box", "polygon", "mask"}),
        ("pose", {"box", "point"}),
        ("classify", {"choice"}),
    ],
)
def test_each_task_says_what_it_serves(models, task, serves):
    model = models[task]
    assert model.serves == serves
    assert model.reads == "image"
    assert model.task == task
    assert model.classes == CLASSES.get(KIND.get(task, ""), tuple("0123456789"))
    assert model.joints == (("0", "1", "2") if task == "pose" else ())
    assert isinstance(model.model, YOLO)


def test_the_trained_files_are_small():
    for name in MODELS:
        assert (TRAINED / f"{name}.pt").stat().st_size < 600_000


def test_turned_boxes_lie_on_the_plates(models):
    scenes = draw_scenes("plates", 40, SEED)
    said = models["obb"].predict([scene.image for scene in scenes], "box")
    assert (said.outline.table(5)[:, 2:4] > 0).all()
    angle = said.outline.table(5)[:, 4]
    assert (((angle >= 0) & (angle <= 45)) | ((angle >= 315) & (angle < 360))).all()
    overlaps = []
    for row, scene in enumerate(scenes):
        sure = sure_rows(said, row)
        assert len(sure) == len(scene.label)
        found = Polygons.from_rotated(said.outline.table(5)[sure])
        truth = Polygons.from_rotated(scene.box)
        overlaps.append(best_overlaps(truth, scene.label, found, said.label[sure]))
    assert np.concatenate(overlaps).min() > 0.75
    assert np.concatenate(overlaps).mean() > 0.9


def test_masks_and_polygons_lie_on_the_rounds(models):
    scenes = draw_scenes("rounds", 40, SEED)
    images = [scene.image for scene in scenes]
    masks = models["segment"].predict(images, "mask")
    polygons = models["segment"].predict(images, "polygon")
    np.testing.assert_array_equal(masks.score, polygons.score)
    overlaps = []
    for row, scene in enumerate(scenes):
        sure = sure_rows(masks, row)
        assert len(sure) == len(scene.label)
        found = mask_table(masks, sure)
        truth = Masks.from_dense(scene.mask)
        overlaps.append(best_overlaps(truth, scene.label, found, masks.label[sure]))
        outlines = Polygons.from_lists([polygons.outline[one].reshape(-1, 2) for one in sure])
        same = np.arange(len(sure))
        disk = masks.label[sure] == CLASSES["rounds"].index("disk")
        assert (iou(outlines, found, same, same)[disk] > 0.95).all()
        # A ring's hole is lost in its outline.
        assert (outlines.area()[~disk] > 1.1 * found.area()[~disk]).all()
    assert np.concatenate(overlaps).min() > 0.75
    assert np.concatenate(overlaps).mean() > 0.9


def test_points_lie_on_the_needles(models):
    scenes = draw_scenes("needles", 40, SEED)
    said = models["pose"].predict([scene.image for scene in scenes], "point")
    boxes = models["pose"].predict([scene.image for scene in scenes], "box")
    assert set(said.label.tolist()) == set(range(JOINTS))
    near = 0.03 * SIZE[0]
    seen = []
    for row, scene in enumerate(scenes):
        mine = said.item == row
        table, label = said.outline.table(3)[mine], said.label[mine]
        for shape in scene.joints:
            at = [np.linalg.norm(table[:, :2] - joint[:2], axis=1) for joint in shape]
            # The object whose head and tail are nearest together.
            objects = np.unique(table[:, 2]).astype(int)
            apart = [
                max(
                    at[end][(table[:, 2] == one) & (label == end)].min(initial=99) for end in (0, 2)
                )
                for one in objects
            ]
            best = objects[int(np.argmin(apart))]
            for joint in range(JOINTS):
                rows = (table[:, 2] == best) & (label == joint)
                if shape[joint, 2]:
                    seen.append(at[joint][rows].min(initial=99))
        number = (boxes.item == row).sum()
        assert table[:, 2].max() < number
    assert np.mean(np.array(seen) < near) > 0.9
    assert np.mean(seen) < 0.6 * near


def test_a_points_score_is_its_own_times_its_objects(models):
    image = images_of("pose", 1)
    said = models["pose"].predict(image, "point")
    result = YOLO(FILES["pose"]).predict(image[0][..., ::-1], conf=SCORE_FLOOR, verbose=False)[0]
    likely = (result.keypoints.conf * result.boxes.conf[:, None]).numpy()
    number, joint = np.nonzero(likely >= SCORE_FLOOR)
    np.testing.assert_allclose(said.score, likely[number, joint], atol=1e-5)
    np.testing.assert_array_equal(said.label, joint)
    expected = np.column_stack([result.keypoints.xy.numpy()[number, joint], number])
    np.testing.assert_allclose(said.outline.table(3), expected, atol=1e-3)


@pytest.mark.parametrize("shape", [None, *SHAPES])
@pytest.mark.parametrize("task", list(FILES))
def test_nothing_is_lost_beside_bare_ultralytics(models, task, shape):
    random = np.random.default_rng(SEED)
    images = images_of(task, 3)
    if shape is not None:
        images = [random.integers(0, 256, (*shape, 3), dtype=np.uint8)]
    bare = YOLO(FILES[task])
    results = [
        bare.predict(image[..., ::-1], conf=SCORE_FLOOR, verbose=False, retina_masks=True)[0]
        for image in images
    ]
    for geometry in sorted(models[task].serves):
        said = models[task].predict(images, geometry)
        assert said.size.tolist() == [[image.shape[1], image.shape[0]] for image in images]
        for row, result in enumerate(results):
            compare(said, row, result, geometry)


def compare(said: Predictions, row: int, result, geometry: str) -> None:
    mine = np.flatnonzero(said.item == row)
    if geometry == "choice":
        np.testing.assert_allclose(said.probs[row], result.probs.data.numpy(), atol=1e-5)
        return
    if geometry == "point":
        assert (said.outline.table(3)[mine, 2] < len(result.boxes)).all()
        return
    boxes = (result.obb if result.obb is not None else result.boxes).data.numpy()
    if geometry == "box" and result.masks is not None:
        # Ultralytics leaves out boxes whose mask is empty, for which no mask has to be made here.
        near = np.abs(said.score[mine][:, None] - boxes[:, 4]).min(axis=1) < 1e-4
        assert (said.score[mine][~near] < 0.2).all()
        mine = mine[near]
    assert len(mine) == len(boxes)
    np.testing.assert_allclose(said.score[mine], boxes[:, -2], atol=1e-4)
    np.testing.assert_array_equal(said.label[mine], boxes[:, -1])
    if geometry == "box" and result.obb is not None:
        found = Polygons.from_rotated(said.outline.table(5)[mine]).xy.reshape(-1, 4, 2)
        expected = result.obb.xyxyxyxy.numpy()
        # The same four corners, begun at another one.
        apart = np.linalg.norm(found[:, :, None] - expected[:, None], axis=-1)
        assert (apart.min(axis=2) < 0.01).all()
        assert (apart.min(axis=1) < 0.01).all()
    elif geometry == "box":
        x, y, width, height, angle = said.outline.table(5)[mine].T
        corners = np.column_stack([x, y, x + width, y + height])
        np.testing.assert_allclose(corners, boxes[:, :4], atol=0.01)
        assert not angle.any()
    elif geometry == "mask" and len(boxes):
        found = mask_table(said, mine)
        for one, dense in enumerate(result.masks.data.numpy()):
            # A weight summed in another order may turn a pixel at the very edge.
            assert (found.dense(one) != dense).sum() <= 2
    elif geometry == "polygon" and len(boxes):
        for one in mine:
            corners = said.outline[one].reshape(-1, 2)
            assert len(corners) >= 3
            assert (corners >= 0).all()
            assert (corners <= np.array(said.size[row])).all()


@pytest.mark.parametrize("task", list(FILES))
def test_in_halves_as_on_a_gpu_it_says_nearly_the_same(models, task):
    halves = in_halves(YoloPredictor(FILES[task], f"{task}@0", 1))
    images = images_of(task, 3)
    for geometry in sorted(halves.serves):
        said, expected = (model.predict(images, geometry) for model in (halves, models[task]))
        np.testing.assert_allclose(said.probs, expected.probs, atol=0.02)
        sure, wanted = said.score > SURE, expected.score > SURE
        np.testing.assert_array_equal(said.item[sure], expected.item[wanted])
        assert len(sure_rows(said, 0)) > 0 or geometry == "choice"
        np.testing.assert_allclose(said.score[sure].sum(), expected.score[wanted].sum(), rtol=0.02)


def in_halves(model: YoloPredictor) -> YoloPredictor:
    """Let the CPU compute in the float16 that Ultralytics takes on a GPU alone."""
    backend = model.model.predictor.model.backend
    backend.model.half()
    backend.fp16 = True
    return model


def test_a_neighbour_in_the_batch_changes_nothing(models):
    images = images_of("detect", 3)
    wide = np.concatenate([images[0], images[1]], axis=1)
    together = models["detect"].predict([images[0], wide, images[2]], "box")
    for row, image in enumerate([images[0], wide, images[2]]):
        alone = models["detect"].predict([image], "box")
        mine = together.item == row
        np.testing.assert_allclose(
            together.outline.table(5)[mine], alone.outline.table(5), atol=0.01
        )
        np.testing.assert_allclose(together.score[mine], alone.score, atol=1e-4)


@pytest.mark.parametrize("task", list(FILES))
def test_columns_fit_together(models, task):
    images = [*images_of(task, 3), np.zeros((50, 40, 3), dtype=np.uint8)]
    for geometry in models[task].serves:
        for given in (images, []):
            said = models[task].predict(given, geometry)
            assert len(said) == len(given)
            assert len(said.item) == len(said.label) == len(said.score) == len(said.outline)
            assert (np.diff(said.item) >= 0).all()
            assert said.size.dtype == np.int32
            assert said.item.dtype == np.int64
            assert said.label.dtype == np.int32
            assert said.score.dtype == np.float32
            assert said.probs.dtype == np.float32
            if geometry == "choice":
                assert said.probs.shape == (len(given), len(models[task].classes))
                np.testing.assert_allclose(said.probs.sum(axis=1), 1, atol=1e-3)
            else:
                assert said.probs.shape == (len(given), 0)
                assert ((said.score >= SCORE_FLOOR - 1e-6) & (said.score <= 1)).all()


def test_weak_regions_are_kept(models):
    said = models["detect"].predict(images_of("detect", 20), "box")
    assert (said.score < 0.2).any()


@pytest.mark.parametrize(
    ("task", "geometry"),
    [("detect", "polygon"), ("segment", "point"), ("pose", "mask"), ("classify", "box")],
)
def test_what_a_task_cannot_answer_is_refused(models, task, geometry):
    with pytest.raises(ModelError, match=rf"{task}@0 is made for '{task}'.*not in {geometry}"):
        models[task].predict(images_of(task, 1), geometry)


def test_texts_are_refused(models):
    with pytest.raises(ModelError, match="reads images, not texts"):
        models["detect"].predict(["a text"], "box")


def test_what_the_model_raises_is_one_error(models):
    with pytest.raises(ModelError, match="detect@0 failed on a batch"):
        models["detect"].predict([np.zeros((4, 4, 3), dtype=np.complex64)], "box")


def test_the_model_is_set_up_once(models):
    model = models["segment"]
    before = model.model.predictor
    for geometry in ("mask", "box", "polygon"):
        model.predict(images_of("segment", 1), geometry)
    assert model.model.predictor is before


def test_nothing_is_printed(capfd):
    model = YoloPredictor(FILES["segment"], "x", 1)
    model.predict(images_of("segment", 2), "mask")
    assert capfd.readouterr() == ("", "")


def test_a_scene_is_drawn_as_it_says():
    for kind in CLASSES:
        for scene in draw_scenes(kind, 20, 3):
            check_scene(scene)


def check_scene(scene: Scene) -> None:
    assert len(scene.label) > 0
    bright = scene.image.max(axis=2) > 150
    covered = scene.mask.any(axis=0)
    assert (bright != covered).mean() < 0.02
    upright = Polygons.from_rotated(scene.box).boxes()
    drawn = Masks.from_dense(scene.mask).boxes()
    np.testing.assert_allclose(drawn, upright, atol=3.1)
    points, label = scene.points
    assert len(points) == len(label) == scene.joints[..., 2].sum()
