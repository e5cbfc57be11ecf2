import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.utils import ops

import ml_backend.demo
from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.embedders.base import Patches
from ml_backend.embedders.registry import shared_features
from ml_backend.embedders.shared import SharedFeatures, into_network
from ml_backend.errors import ModelError
from ml_backend.predictors.batching import BatchingPredictor
from ml_backend.predictors.yolo import YoloPredictor
from tests.unit.test_yolo import in_halves

MODELS = Path(ml_backend.demo.__file__).parent / "models"


@pytest.fixture(scope="module")
def detector():
    return YoloPredictor(MODELS / "digits-detect.pt", "digits-detect@1", 1)


@pytest.fixture(scope="module")
def shared(detector):
    return SharedFeatures(detector)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model of three levels; its weights are random, its structure is not."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "yolo11n.pt"
    YOLO("yolo11n.yaml", verbose=False).save(path)
    return SharedFeatures(YoloPredictor(path, "yolo11n@1", 1))


@pytest.fixture(scope="module")
def scenes():
    random = np.random.default_rng(5)
    return [draw_scene(split_digits()[1], random) for _ in range(60)]


def all_patches(scenes) -> Patches:
    row = np.repeat(np.arange(len(scenes)), [len(scene.label) for scene in scenes])
    return Patches(row, np.concatenate([scene.box for scene in scenes]))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (640, 640), (7, 900), (1081, 1919)])
def test_boxes_are_mapped_as_ultralytics_letterboxes_and_maps_back(shape):
    height, width = shape
    box = np.random.default_rng(0).random((20, 4)).astype(np.float32)
    box = np.sort(box.reshape(-1, 2, 2), axis=1).reshape(-1, 4) * [width, height, width, height]
    for auto in (False, True):
        seen = LetterBox((640, 640), auto=auto, stride=32)(image=noise(height, width))
        size = np.tile([width, height], (20, 1))
        mapped = into_network(box, size, seen.shape[:2])
        back = ops.scale_boxes(seen.shape[:2], torch.from_numpy(mapped), shape)
        np.testing.assert_allclose(back.numpy(), box, atol=2e-3)


def test_a_letterboxed_mark_lies_where_its_box_is_mapped():
    image = np.zeros((300, 500, 3), dtype=np.uint8)
    image[100:200, 50:150] = 255
    seen = LetterBox((640, 640))(image=image)
    rows, columns = np.nonzero(seen[..., 0] > 200)
    box = np.array([[50, 100, 150, 200]], dtype=np.float32)
    x0, y0, x1, y1 = into_network(box, np.array([[500, 300]]), (640, 640))[0]
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose([x0, y0, x1, y1], found, atol=1)


def test_stretched_images_have_no_padding():
    box = np.array([[0, 0, 50, 100]], dtype=np.float32)
    mapped = into_network(box, np.array([[100, 200]]), (64, 64), stretched=True)
    np.testing.assert_allclose(mapped, [[0, 0, 32, 32]])


def test_vectors_are_the_mean_of_what_the_head_reads(untrained):
    """By hand: an image of the network's own size, regions on the edges of the coarsest cells."""
    image = noise(640, 640)
    cells = np.array([[0, 0, 4, 2], [3, 5, 9, 20], [19, 19, 20, 20]])
    network = untrained._predictor.model.model.eval()
    levels = []
    hook = network.model[-1].register_forward_pre_hook(lambda _, given: levels.extend(given[0]))
    with torch.inference_mode():
        network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    hook.remove()
    assert [level.shape[1] for level in levels] == [64, 128, 256]
    expected = []
    for x0, y0, x1, y1 in cells:
        parts = []
        for level, step in zip(levels, (4, 2, 1), strict=True):
            # RoIAlign reads between the cells, so that a region's edge takes part of the next.
            region = level[0, :, y0 * step : y1 * step, x0 * step : x1 * step]
            parts.append(nn.functional.normalize(region.mean(dim=(1, 2)), dim=0))
        joined = torch.cat(parts)
        expected.append((joined / joined.norm()).numpy())
    got = untrained.embed_patches([image], np.zeros(3, dtype=np.int64), cells * np.float32(32))
    cosine = (got * np.array(expected)).sum(axis=1)
    assert got.shape == (3, 448)
    assert cosine.min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


def test_predictions_are_those_of_the_predictor_alone(shared, detector, scenes):
    images = [scene.image for scene in scenes[:40]] + [noise(90, 120), scenes[0].image[:100]]
    patches = all_patches(scenes[:40])
    said, whole, parts = shared.predict_and_embed(images, "box", patches)
    alone = detector.predict(images, "box")
    np.testing.assert_array_equal(said.outline.values, alone.outline.values)
    np.testing.assert_array_equal(said.score, alone.score)
    assert whole.shape == (42, shared.size)
    assert parts.shape == (len(patches), shared.size)


@pytest.mark.parametrize("name", ["digits-detect", "digits-classify"])
def test_in_halves_as_on_a_gpu_the_vectors_are_nearly_the_same(name, scenes):
    images = [scene.image for scene in scenes[:6]]
    patches = all_patches(scenes[:6])
    alone, halves = (YoloPredictor(MODELS / f"{name}.pt", f"{name}@1", 1) for _ in range(2))
    expected = SharedFeatures(alone).embed_patches(images, patches.image_row, patches.box)
    vectors = SharedFeatures(in_halves(halves)).embed_patches(
        images, patches.image_row, patches.box
    )
    assert (expected * vectors).sum(axis=1).min() > 0.999


def test_each_image_keeps_its_own_vectors_among_images_of_other_shapes(shared):
    shapes = [(100, 160), (160, 100), (100, 160), (64, 64), (160, 100)] * 8
    images = [noise(*shape, seed) for seed, shape in enumerate(shapes)]
    row = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 2))
    box = np.tile(np.array([[10, 10, 50, 60]], dtype=np.float32), (80, 1))
    _, whole, parts = shared.predict_and_embed(images, "box", Patches(row, box))
    for at in range(0, 40, 7):
        alone = shared.predict_and_embed([images[at]], "box", Patches(row[:1] * 0, box[:1]))
        np.testing.assert_allclose(whole[at], alone[1][0], atol=1e-5)
        np.testing.assert_allclose(parts[row == at], np.tile(alone[2], (2, 1)), atol=1e-5)


def test_moving_an_object_moves_nothing_but_its_patch(shared):
    ink = np.random.default_rng(3).integers(0, 120, (36, 24, 1), dtype=np.uint8)
    before, after = (np.full((160, 320, 3), 200, dtype=np.uint8) for _ in range(2))
    for image in (before, after):
        image[100:136, 280:304] = ink
    before[20:56, 20:44] = ink
    # So far that it stays at the same place of the network's cells.
    after[84:120, 84:108] = ink
    box = np.array([[20, 20, 44, 56], [280, 100, 304, 136]], dtype=np.float32)
    row = np.zeros(2, dtype=np.int64)
    first = shared.embed_patches([before], row, box)
    second = shared.embed_patches([after], row, box)
    moved, kept = (first * second).sum(axis=1)
    assert kept > 0.995
    assert moved < 0.9
    followed = shared.embed_patches([after], row[:1], box[:1] + np.float32(64))
    assert (first[0] * followed[0]).sum() > 0.99


def test_the_same_patch_in_another_letterbox_has_nearly_the_same_vector(shared, scenes):
    """A scene's upper part alone is another input of the network: 128 x 160 instead of 160 x 160.

    In the narrow one the bottom edge is near, so that only the upper regions see the same.
    """
    patches = all_patches(scenes)
    upper = np.flatnonzero(patches.box[:, 3] < 70)
    rows, box = patches.image_row[upper], patches.box[upper]
    whole = shared.embed_patches([scene.image for scene in scenes], rows, box)
    part = shared.embed_patches([scene.image[:128] for scene in scenes], rows, box)
    assert len(upper) > 50
    assert (whole * part).sum(axis=1).min() > 0.99
    assert ((part @ whole.T).argmax(axis=1) == np.arange(len(upper))).mean() > 0.95


def test_a_patch_of_another_scale_is_still_of_its_class(shared, scenes):
    """Wider paper shrinks all that the network sees by 6 %. Measured: 0.90 find their digit."""
    patches = all_patches(scenes)
    label = np.concatenate([scene.label for scene in scenes])
    wide = [np.pad(scene.image, ((0, 0), (0, 11), (0, 0)), mode="edge") for scene in scenes]
    vectors = [
        shared.embed_patches(images, patches.image_row, patches.box)
        for images in ([scene.image for scene in scenes], wide)
    ]
    assert np.median((vectors[0] * vectors[1]).sum(axis=1)) > 0.975
    nearest = (vectors[1] @ vectors[0].T).argmax(axis=1)
    assert (label[nearest] == label).mean() > 0.85


def test_patches_of_the_same_class_are_near(shared, scenes):
    """Measured: 5 nearest neighbours of other scenes name the right digit in 0.89 of the cases."""
    patches = all_patches(scenes)
    label = np.concatenate([scene.label for scene in scenes])
    vector = shared.embed_patches([scene.image for scene in scenes], patches.image_row, patches.box)
    near = vector @ vector.T
    near[patches.image_row[:, None] == patches.image_row] = -1
    nearest = np.argsort(-near, axis=1)[:, :5]
    named = [np.bincount(label[row]).argmax() for row in nearest]
    assert (np.array(named) == label).mean() > 0.85


def test_boxes_of_any_kind_get_finite_vectors(shared):
    box = np.array(
        [
            [10, 10, 10, 10],
            [-50, -50, -10, -10],
            [1e9, 1e9, 2e9, 2e9],
            [np.nan, 0, 20, 20],
            [-np.inf, 0, np.inf, 20],
            [60, 60, 20, 20],
            [20, 20, 60, 60],
        ],
        dtype=np.float32,
    )
    vector = shared.embed_patches([noise(80, 80)], np.zeros(7, dtype=np.int64), box)
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vector[5], vector[6])


def test_nothing_gives_nothing(shared):
    nothing = Patches(np.empty(0, dtype=np.int64), np.empty((0, 4), dtype=np.float32))
    assert shared.predict_and_embed([noise(80, 80)], "box", nothing)[2].shape == (0, shared.size)
    assert shared.embed([]).shape == (0, shared.size)
    with pytest.raises(ModelError, match="reads images, not texts"):
        shared.embed(["a text"])


def test_the_model_is_left_as_it_was(shared, detector):
    shared.embed([noise(80, 80)])
    network = detector.model.predictor.model.model
    assert not any(module._forward_pre_hooks for module in network.modules())
    ours = [
        call
        for calls in detector.model.callbacks.values()
        for call in calls
        if call.__module__.startswith("ml_backend")
    ]
    assert ours == []


def test_other_threads_may_predict_meanwhile(shared, detector):
    images = [noise(96, 96, seed) for seed in range(6)]
    expected = shared.embed(images)
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            detector.predict([noise(96, 96, 99)] * 3, "box")

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(5):
            np.testing.assert_allclose(shared.embed(images), expected, atol=1e-6)
    finally:
        stop.set()
        other.join()


def test_a_network_is_looked_into_once_however_many_jobs_ask():
    predictor = YoloPredictor(MODELS / "digits-detect.pt", "digits-detect@1", 1)
    passes = []
    predictor.model.model.register_forward_hook(lambda *_: passes.append(1))
    first, again = SharedFeatures(predictor), SharedFeatures(BatchingPredictor(predictor))
    assert len(passes) == 1
    assert (first.size, first.version) == (again.size, again.version)


def test_a_classifier_gives_its_maps_before_the_last_halving_and_crops_for_patches():
    classifier = YoloPredictor(MODELS / "digits-classify.pt", "digits-classify@1", 1)
    shared = SharedFeatures(classifier)
    image, row = noise(64, 64), np.zeros(1, dtype=np.int64)
    everything = np.array([[0, 0, 64, 64]], dtype=np.float32)
    said, whole, parts = shared.predict_and_embed([image], "choice", Patches(row, everything))
    assert whole.shape == (1, shared.size)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(said.probs, classifier.predict([image], "choice").probs)
    mixed = torch.from_numpy(image[None].astype(np.float32) / 255).permute(0, 3, 1, 2)
    network = classifier.model.model.eval()
    with torch.inference_mode():
        maps = network.model[:5](mixed)
        assert network.model[5](maps).shape[-1] * 2 == maps.shape[-1]
    expected = maps.mean((2, 3))[0].numpy()
    np.testing.assert_allclose(whole[0], expected / np.linalg.norm(expected), atol=1e-3)


@pytest.mark.parametrize("kind", ["yolo11n-seg", "yolo11n-pose", "yolo11n-obb", "yolo26n"])
def test_models_of_every_task_share_their_features(tmp_path, kind):
    torch.manual_seed(0)
    YOLO(f"{kind}.yaml", verbose=False).save(tmp_path / "m.pt")
    shared = SharedFeatures(YoloPredictor(tmp_path / "m.pt", "m@1", 1))
    box = np.array([[10, 10, 60, 60]], dtype=np.float32)
    patches = Patches(np.zeros(1, dtype=np.int64), box)
    for geometry in sorted(shared._predictor.serves):
        _, whole, parts = shared.predict_and_embed([noise(96, 128)], geometry, patches)
        assert whole.shape == parts.shape == (1, shared.size)
        np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1, atol=1e-5)


def test_an_export_shares_nothing(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "m.pt"
    YOLO(MODELS / "digits-detect.yaml", verbose=False).save(path)
    YOLO(path, verbose=False).export(format="onnx", imgsz=64, verbose=False)
    assert shared_features(YoloPredictor(tmp_path / "m.onnx", "m@1", 1)) is None


def test_what_has_no_layers_shares_nothing(detector):
    class Export:
        version = "yolo.onnx@1"
        model = type("Session", (), {"model": "yolo.onnx"})()

    assert shared_features(Export()) is None
    assert isinstance(shared_features(detector), SharedFeatures)
    assert isinstance(shared_features(BatchingPredictor(detector)), SharedFeatures)
    with pytest.raises(ModelError, match="yolo\\.onnx@1 has no layers"):
        SharedFeatures(Export())


def test_of_a_predictor_that_batches_the_model_inside_is_tapped(shared, detector):
    images = [noise(80, 80, seed) for seed in range(3)]
    batching = SharedFeatures(BatchingPredictor(detector))
    np.testing.assert_array_equal(batching.embed(images), shared.embed(images))


def test_the_version_names_the_model(detector):
    assert SharedFeatures(detector).version == "digits-detect@1+features"
