"""The demo's data: what is drawn, what is planted in it, and what its models make of it."""

from pathlib import Path

import numpy as np
import pytest

import ml_backend.demo
from analysis.findings import NONE
from ml_backend.demo.planted import BOX_KINDS, plant_boxes, plant_classes
from ml_backend.demo.scenes import SCENE_SIZE, draw_digit, draw_scene, split_digits
from ml_backend.predictors.yolo import YoloPredictor

SEED = 5
MODELS = Path(ml_backend.demo.__file__).parent / "models"


def iou(a, b):
    """IoU of two boxes (4,), written apart from the code under test."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def draw_scenes(count, seed=SEED):
    random = np.random.default_rng(seed)
    return [draw_scene(split_digits()[1], random) for _ in range(count)]


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(80)


@pytest.fixture(scope="module")
def planted(scenes):
    return plant_boxes(scenes, 0.5, np.random.default_rng(SEED))


def darkness(scene):
    """How much darker than the paper each pixel is; the paper is a plane fitted beside the ink."""
    grey = scene.image[..., 0].astype(np.float64)
    down, across = np.mgrid[:SCENE_SIZE, :SCENE_SIZE]
    plane = np.stack([np.ones(grey.size), across.ravel(), down.ravel()], axis=1)
    apart = np.ones(grey.shape, dtype=bool)
    for x0, y0, x1, y1 in scene.box.astype(int):
        apart[max(y0 - 8, 0) : y1 + 8, max(x0 - 8, 0) : x1 + 8] = False
    fit = np.linalg.lstsq(plane[apart.ravel()], grey[apart], rcond=None)[0]
    return (plane @ fit).reshape(grey.shape) - grey


def test_splits_share_no_scan_and_hold_every_digit():
    train, held_out = split_digits()
    assert len(train.label) + len(held_out.label) == 1797
    assert not {scan.tobytes() for scan in train.scan} & {scan.tobytes() for scan in held_out.scan}
    for part in (train, held_out):
        assert np.bincount(part.label, minlength=10).min() / len(part.label) > 0.09


def test_same_seed_draws_the_same_bytes():
    once, again = draw_scenes(3), draw_scenes(3)
    assert [one.image.tobytes() + one.box.tobytes() for one in once] == [
        one.image.tobytes() + one.box.tobytes() for one in again
    ]
    assert once[0].image.tobytes() != draw_scenes(1, SEED + 1)[0].image.tobytes()
    digits = [draw_digit(split_digits()[0], 7, np.random.default_rng(SEED)) for _ in range(2)]
    assert digits[0].tobytes() == digits[1].tobytes()


def test_scenes_are_as_declared(scenes):
    for scene in scenes:
        assert scene.image.shape == (SCENE_SIZE, SCENE_SIZE, 3)
        assert (scene.image.dtype, scene.label.dtype, scene.box.dtype) == (
            np.uint8,
            np.int32,
            np.float32,
        )
        assert 3 <= len(scene.label) == len(scene.box) <= 7
        assert scene.box.min() >= 0
        assert scene.box.max() <= SCENE_SIZE
        assert (scene.box[:, 2:] - scene.box[:, :2] >= 5).all()


def test_boxes_do_not_overlap(scenes):
    for scene in scenes:
        for n, box in enumerate(scene.box):
            assert all(iou(box, other) == 0 for other in scene.box[:n])


def test_boxes_are_tight_to_the_ink(scenes):
    off = []
    for scene in scenes:
        dark = darkness(scene)
        for x0, y0, x1, y1 in scene.box.astype(int):
            top, left = max(y0 - 2, 0), max(x0 - 2, 0)
            around = dark[top : y1 + 2, left : x1 + 2]
            inked = around > 0.25 * np.quantile(around, 0.98)
            rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
            seen = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
            off.append(np.array(seen) - (x0, y0, x1, y1))
    # What noise leaves: a faint edge is seen a pixel further in or out.
    assert np.abs(off).mean() < 0.3
    assert np.abs(np.mean(off, axis=0)).max() < 0.3
    assert np.mean(np.abs(off) > 1) < 0.02


def test_clean_scenes_get_jitter_alone(scenes, planted):
    said, errors = planted
    wrong = {one.index for one in errors}
    moved = []
    for index, (scene, (label, box)) in enumerate(zip(scenes, said, strict=True)):
        if index not in wrong:
            assert label.tolist() == scene.label.tolist()
            moved.append(np.abs(box - scene.box).ravel())
    sides = np.concatenate(moved)
    assert 0.3 < sides.mean() < 1
    assert sides.max() <= 2.001


def test_planted_errors_are_spread_evenly_over_scenes_and_kinds(scenes, planted):
    _, errors = planted
    indices = [one.index for one in errors]
    assert indices == sorted(set(indices))
    assert len(indices) == round(0.5 * len(scenes))
    assert {kind: sum(one.kind == kind for one in errors) for kind in BOX_KINDS} == dict.fromkeys(
        BOX_KINDS, 10
    )


def test_records_are_the_difference_from_the_truth(scenes, planted):
    said, errors = planted
    for one in errors:
        true, (label, box) = scenes[one.index], said[one.index]
        truth, human = true.label.tolist(), label.tolist()
        if one.kind == "missing":
            assert one.said_row == NONE
            assert human == truth[: one.true_row] + truth[one.true_row + 1 :]
        elif one.kind == "spurious":
            assert one.true_row == NONE
            assert human[: one.said_row] + human[one.said_row + 1 :] == truth
            assert all(iou(box[one.said_row], other) == 0 for other in true.box)
        else:
            assert one.true_row == one.said_row
            assert len(human) == len(truth)
            differing = [n for n in range(len(truth)) if human[n] != truth[n]]
            assert differing == ([one.true_row] if one.kind == "mislabelled" else [])


def test_only_badly_drawn_boxes_are_far_from_the_ink(scenes, planted):
    said, errors = planted
    bad = {(one.index, one.said_row) for one in errors if one.kind == "badly_drawn"}
    apart = {
        index for one in errors if one.kind in ("missing", "spurious") for index in [one.index]
    }
    for index, (scene, (_, box)) in enumerate(zip(scenes, said, strict=True)):
        assert box.min() >= 0
        assert box.max() <= SCENE_SIZE
        if index in apart:
            continue
        for row, (human, true) in enumerate(zip(box, scene.box, strict=True)):
            if (index, row) in bad:
                assert 0.35 < iou(human, true) < 0.6
            else:
                assert iou(human, true) > 0.65


def test_planting_repeats_and_leaves_the_truth_alone(scenes):
    before = [(scene.label.copy(), scene.box.copy()) for scene in scenes]
    once = plant_boxes(scenes, 0.2, np.random.default_rng(1))
    again = plant_boxes(scenes, 0.2, np.random.default_rng(1))
    assert once[1] == again[1]
    for (label, box), (label2, box2) in zip(once[0], again[0], strict=True):
        assert label.tobytes() + box.tobytes() == label2.tobytes() + box2.tobytes()
    for scene, (label, box) in zip(scenes, before, strict=True):
        np.testing.assert_array_equal(scene.label, label)
        np.testing.assert_array_equal(scene.box, box)


def test_wrong_classes_are_those_recorded():
    truth = split_digits()[1].label[:200]
    said, errors = plant_classes(truth, 0.1, np.random.default_rng(SEED))
    assert np.flatnonzero(said != truth).tolist() == [one.index for one in errors]
    assert len(errors) == 20
    assert {one.kind for one in errors} == {"mislabelled"}
    assert ((said >= 0) & (said < 10)).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_any_share_can_be_planted(scenes, share):
    said, errors = plant_boxes(scenes[:8], share, np.random.default_rng(0))
    assert (len(said), len(errors)) == (8, 8 * share)


@pytest.mark.parametrize("name", ["digits-detect.pt", "digits-classify.pt"])
def test_models_are_small_and_name_the_digits(name):
    assert (MODELS / name).stat().st_size < 2_000_000
    assert YoloPredictor(MODELS / name, name).classes == tuple("0123456789")


def test_detector_finds_unseen_digits():
    unseen = draw_scenes(40, SEED + 1)
    detector = YoloPredictor(MODELS / "digits-detect.pt", "detect")
    said = detector.predict([scene.image for scene in unseen], "box")
    x, y, width, height, _ = said.outline.table(5).T
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    found = wrong = 0
    overlaps = []
    for index, scene in enumerate(unseen):
        mine = (said.item == index) & (said.score > 0.5)
        left = list(zip(said.label[mine].tolist(), boxes[mine], strict=True))
        for label, box in zip(scene.label.tolist(), scene.box, strict=True):
            hits = [
                n for n, (one, near) in enumerate(left) if one == label and iou(near, box) > 0.5
            ]
            found += bool(hits)
            if hits:
                overlaps.append(iou(left.pop(hits[0])[1], box))
        wrong += len(left)
    total = sum(len(scene.label) for scene in unseen)
    assert found >= 0.96 * total
    assert wrong <= 0.04 * total
    assert np.mean(overlaps) > 0.88


def test_classifier_knows_unseen_digits():
    held_out = split_digits()[1]
    random = np.random.default_rng(SEED)
    rows = range(100)
    classifier = YoloPredictor(MODELS / "digits-classify.pt", "classify")
    said = classifier.predict([draw_digit(held_out, row, random) for row in rows], "choice")
    assert (said.probs.argmax(axis=1) == held_out.label[:100]).mean() >= 0.96
