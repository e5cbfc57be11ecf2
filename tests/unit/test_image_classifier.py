import argparse
import copy
import json
import os
import socket

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from ml_backend.errors import ModelError
from ml_backend.predictors import image_networks
from ml_backend.predictors.checkpoints import imagenet_classes
from ml_backend.predictors.files import digest
from ml_backend.predictors.image_classifier import ImageClassifier

CLASSES = ["ant", "bee", "cat"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    sizes = [(40, 60), (200, 170), (96, 96), (1, 1), (3, 1200)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=3).eval()


def checkpoint(network, arch="test_resnet", **more):
    return {"arch": arch, "classes": CLASSES, "state_dict": network.state_dict(), **more}


def bare(network, images, **config):
    """What timm itself says."""
    config = {**resolve_model_data_config(network), **config}
    transform = create_transform(**config, is_training=False)
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(image)) for image in images])
        return network(batch)


def saved(folder, content, name="m.pth"):
    torch.save(content, folder / name)
    return ImageClassifier(f"timm:{name}", folder, threads=1)


def close(predictions, expected):
    np.testing.assert_allclose(predictions.probs, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_a_checkpoint_answers_as_bare_timm_does(tmp_path, network, images, prefix):
    state = {prefix + name: value for name, value in network.state_dict().items()}
    model = saved(tmp_path, {**checkpoint(network), "state_dict": state})
    predictions = model.predict(images, "choice")
    close(predictions, bare(network, images).softmax(1))
    assert model.classes == tuple(CLASSES)
    assert model.version == f"timm:m.pth@{digest(tmp_path / 'm.pth')[:8]}"
    np.testing.assert_array_equal(
        predictions.size, [[60, 40], [170, 200], [96, 96], [1, 1], [1200, 3]]
    )
    assert (predictions.probs.dtype, len(predictions.item)) == (np.float32, 0)
    np.testing.assert_allclose(predictions.probs.sum(1), 1, rtol=1e-5)


def test_many_images_are_predicted_in_batches_and_none_in_none(tmp_path, network, images):
    model = saved(tmp_path, checkpoint(network))
    many = images[:3] * 25
    alone = np.concatenate([model.predict([image], "choice").probs for image in images[:3]])
    np.testing.assert_allclose(
        model.predict(many, "choice").probs, np.tile(alone, (25, 1)), rtol=1e-4
    )
    assert model.predict([], "choice").probs.shape == (0, 3)


def test_in_halves_as_on_a_gpu_it_says_nearly_the_same(tmp_path, network, images):
    model = saved(tmp_path, checkpoint(network))
    model._halves = True
    expected = bare(network, images).softmax(1).numpy()
    np.testing.assert_allclose(model.predict(images, "choice").probs, expected, atol=0.01)
    assert model._halves


def test_a_network_too_large_for_halves_goes_on_in_float32(tmp_path, network, images):
    large = copy.deepcopy(network)
    conv = next(part for part in large.modules() if isinstance(part, torch.nn.Conv2d))
    norm = next(part for part in large.modules() if isinstance(part, torch.nn.BatchNorm2d))
    with torch.no_grad():
        # The normalization behind it takes out what is too large.
        conv.weight *= 1e6
        norm.running_mean *= 1e6
        norm.running_var *= 1e12
    model = saved(tmp_path, checkpoint(large))
    model._halves = True
    for _ in range(2):
        close(model.predict(images, "choice"), bare(large, images).softmax(1))
        assert not model._halves


def test_preprocessing_is_the_checkpoints_own(tmp_path, network, images):
    own = {"input_size": [3, 64, 96], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.4, 0.3]}
    own |= {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "squash"}
    model = saved(tmp_path, checkpoint(network, **own))
    close(model.predict(images, "choice"), bare(network, images, **own).softmax(1))


def test_several_labels_an_image_are_questions_of_their_own(tmp_path, network, images):
    model = saved(tmp_path, checkpoint(network, multi_label=True))
    close(model.predict(images, "choice"), bare(network, images).sigmoid())


def test_a_grey_model_is_given_grey(tmp_path, images):
    network = timm.create_model("test_resnet", num_classes=3, in_chans=1).eval()
    own = {"input_size": [1, 64, 64], "mean": [0.5], "std": [0.2]}
    model = saved(tmp_path, checkpoint(network, **own))
    grey = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
    close(model.predict(images, "choice"), bare(network, grey, **own).softmax(1))


def test_a_transformer_is_built_for_its_input_size(tmp_path, images):
    network = timm.create_model("test_vit", num_classes=3, img_size=64).eval()
    model = saved(tmp_path, checkpoint(network, "test_vit", input_size=64))
    expected = bare(network, images, input_size=(3, 64, 64)).softmax(1)
    close(model.predict(images, "choice"), expected)


def test_safetensors_say_in_their_metadata_what_they_are(tmp_path, network, images):
    metadata = {"arch": "test_resnet", "classes": json.dumps(CLASSES), "multi_label": "true"}
    save_file(network.state_dict(), tmp_path / "m.safetensors", metadata)
    model = ImageClassifier("timm:m.safetensors", tmp_path)
    close(model.predict(images, "choice"), bare(network, images).sigmoid())


@pytest.mark.parametrize("safe", [True, False])
def test_a_folder_that_timm_saved(tmp_path, network, images, safe):
    config = {"label_names": CLASSES}
    timm.models.save_for_hf(network, tmp_path / "m", config, safe_serialization=safe)
    model = ImageClassifier("timm:m", tmp_path)
    twin = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    close(model.predict(images, "choice"), bare(twin, images).softmax(1))
    assert model.classes == tuple(CLASSES)
    before = model.version
    (tmp_path / "m" / "README.md").write_text("read me")
    assert ImageClassifier.version_of("timm:m", tmp_path) == before
    with (tmp_path / "m" / "config.json").open("a") as file:
        file.write("\n")
    assert ImageClassifier.version_of("timm:m", tmp_path) != before


@pytest.mark.parametrize(
    ("said", "classes"),
    [
        ({}, ("0", "1", "2")),
        ({"label_names": {"0": "ant", "2": "cat"}}, ("ant", "1", "cat")),
        ({"labels": CLASSES}, ("ant", "bee", "cat")),
        ({"label_names": [7, 8, 9]}, ("7", "8", "9")),
    ],
)
def test_names_of_a_folders_classes(tmp_path, network, said, classes):
    timm.models.save_for_hf(network, tmp_path / "m", said, safe_serialization=True)
    assert ImageClassifier("timm:m", tmp_path).classes == classes


def test_imagenet_classes_go_by_their_first_word_where_it_is_their_own():
    classes = imagenet_classes(1000)
    assert classes[:2] == ("tench", "goldfish")
    assert [name for name in classes if name.startswith("crane")] == [
        "crane (n02012849)",
        "crane (n03126707)",
    ]
    for count in (1000, 11821, 21841, 21843):
        assert len(set(imagenet_classes(count))) == count
    assert imagenet_classes(3) is None


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "torchvision:mobilenet_v3_small"])
def test_torchvision_answers_as_it_does_alone(tmp_path, images, arch):
    network = torchvision.models.get_model("mobilenet_v3_small", num_classes=3).eval()
    torch.save(checkpoint(network, arch), tmp_path / "m.pt")
    library = "timm" if ":" in arch else "torchvision"
    predictions = ImageClassifier(f"{library}:m.pt", tmp_path).predict(images, "choice")
    transform = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(image)) for image in images])
        close(predictions, network(batch).softmax(1))


def test_torchvision_with_preprocessing_of_its_own(tmp_path, images):
    network = torchvision.models.get_model("mobilenet_v3_small", num_classes=3).eval()
    own = {"input_size": [64, 64], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    torch.save(checkpoint(network, "mobilenet_v3_small", **own), tmp_path / "m.pt")
    predictions = ImageClassifier("torchvision:m.pt", tmp_path).predict(images, "choice")
    preset = torchvision.transforms._presets.ImageClassification(
        crop_size=64, resize_size=73, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    with torch.inference_mode():
        batch = torch.stack([preset(Image.fromarray(image)) for image in images])
        close(predictions, network(batch).softmax(1))


def test_an_endless_strip_takes_no_endless_memory(tmp_path, network):
    model = saved(tmp_path, checkpoint(network))
    strip = np.zeros((2, 60_000, 3), dtype=np.uint8)
    strip[:, 29_900:30_100] = 255
    probs = model.predict([strip, strip[:, 29_980:30_020]], "choice").probs
    np.testing.assert_allclose(probs[0], probs[1], rtol=1e-4)


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_code_in_a_pickle_is_never_run(tmp_path, network):
    trace = tmp_path / "run"
    with pytest.raises(ModelError, match="holds more than tensors"):
        saved(tmp_path, {**checkpoint(network), "extra": Hostile(trace)})
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"architecture": "test_resnet"}')
    torch.save({"a": Hostile(trace)}, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"'pytorch_model\.bin' cannot be loaded"):
        ImageClassifier("timm:m", tmp_path)
    assert not trace.exists()


def without(content, key):
    return {name: value for name, value in content.items() if name != key}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: without(c, "arch"), "architecture: Field required"),
        (lambda c: without(c, "classes"), "classes: Tuple should have at least 1 item"),
        (lambda c: {**c, "classes": []}, "classes: Tuple should have at least 1 item"),
        (lambda c: {**c, "classes": ["a", "b", "a"]}, "'a' stands there more than once"),
        (lambda c: {**c, "classes": {0: "a", -1: "b"}}, "name for output -1"),
        (lambda c: {**c, "classes": {"x": "a"}}, "classes"),
        (lambda c: {**c, "classes": "abc"}, "classes"),
        (lambda c: {**c, "classes": ["a", "b"]}, "size mismatch"),
        (lambda c: {**c, "arch": "test_resnet18"}, "did you mean 'test_resnet'"),
        (lambda c: {**c, "arch": "hf-hub:evil/model"}, "no architecture of hf-hub"),
        (lambda c: {**c, "arch": "local-dir:/etc"}, "no architecture of local-dir"),
        (lambda c: {**c, "arch": "test_vit"}, "weights do not fit timm:test_vit"),
        (lambda c: {**c, "arch": "torchvision:resnet18"}, "weights do not fit torchvision:res"),
        (lambda c: {**c, "arch": "torchvision:fcn_resnet50"}, "no architecture of torchvision"),
        (lambda c: {**c, "model_args": {"nonsense": 1}}, "do not fit"),
        (lambda c: {**c, "model_args": {"checkpoint_path": "/etc/passwd"}}, "is not allowed"),
        (lambda c: {**c, "model_args": {"features_only": True}}, "is not allowed"),
        (lambda c: {**c, "input_size": [3, 10**9, 10**9]}, "input_size"),
        (lambda c: {**c, "input_size": [4, 64, 64]}, "input_size"),
        (lambda c: {**c, "input_size": "big"}, "input_size"),
        (lambda c: {**c, "mean": [0.1, 0.2]}, "do not fit|failed on a batch"),
        (lambda c: {**c, "std": [0, 0, 0]}, "std.0: Input should be greater than 0"),
        (lambda c: {**c, "interpolation": "magic"}, "interpolation"),
        (lambda c: {**c, "state_dict": {}}, "holds no weights by name"),
        (lambda c: {**c, "state_dict": None}, "holds no weights by name"),
        (lambda c: {**c, "state_dict": {"a": "text"}}, "holds no weights by name"),
        (lambda c: {**c, "state_dict": {1: torch.zeros(1)}}, "holds no weights by name"),
        (lambda c: {**c, "state_dict": {"a": torch.zeros(1)}}, "do not fit"),
        (lambda c: {**c, "args": argparse.Namespace(lr=1)}, "holds more than tensors"),
        (lambda c: c["state_dict"], "holds no weights by name"),
        (lambda c: [1, 2], "holds no dict"),
        (lambda c: torch.zeros(3), "holds no dict"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_said(tmp_path, network, change, said):
    with pytest.raises(ModelError, match=said) as caught:
        saved(tmp_path, change(checkpoint(network)))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", ["m.pth", "m.pt", "m.safetensors"])
@pytest.mark.parametrize("part", [0, 1, 100, 0.5, 0.999])
def test_a_broken_file_is_said(tmp_path, network, name, part):
    if name == "m.safetensors":
        save_file(network.state_dict(), tmp_path / name, {"arch": "test_resnet"})
    else:
        torch.save(checkpoint(network), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    end = part if isinstance(part, int) else int(part * len(content))
    (tmp_path / name).write_bytes(content[:end])
    with pytest.raises(ModelError, match=rf"model file '{name}' cannot be loaded: it is broken"):
        ImageClassifier(f"timm:{name}", tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_said(tmp_path, network, value):
    state = {name: part.clone() for name, part in network.state_dict().items()}
    state["conv1.0.weight"].fill_(value)
    with pytest.raises(ModelError, match="probabilities that are no numbers"):
        saved(tmp_path, {**checkpoint(network), "state_dict": state})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (b"", "no readable config.json"),
        (b"{", "no readable config.json"),
        (b"\xff\xfe", "no readable config.json"),
        (b"[" * 100_000, "no readable config.json"),
        (b"[]", "another form than timm's"),
        (b'{"pretrained_cfg": 3}', "another form than timm's"),
        (b'{"model_type": "vit", "num_classes": 3}', "architecture: Field required"),
        (b'{"architecture": "test_resnet"}', "classes"),
        (b'{"architecture": "test_resnet", "num_classes": -3}', "classes"),
        (b'{"architecture": "test_resnet", "num_classes": 4}', "do not fit"),
        (b'{"architecture": "test_resnet", "num_classes": 3, "label_names": ["a"]}', "1 names"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, network, config, said):
    timm.models.save_for_hf(network, tmp_path / "m", safe_serialization=True)
    (tmp_path / "m" / "config.json").write_bytes(config)
    with pytest.raises(ModelError, match=said):
        ImageClassifier("timm:m", tmp_path)


def test_a_folder_without_weights_is_said(tmp_path, network):
    timm.models.save_for_hf(network, tmp_path / "m", safe_serialization=True)
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors or pytorch_model\.bin"):
        ImageClassifier("timm:m", tmp_path)


@pytest.mark.parametrize("name", ["timm:../m.pth", "timm:/etc/passwd", "timm:", "timm:gone.pth"])
def test_models_come_from_the_model_folder_only(tmp_path, network, name):
    torch.save(checkpoint(network), tmp_path / "m.pth")
    (tmp_path / "models").mkdir()
    for downloads in (False, True):
        with pytest.raises(ModelError, match=r"not in the model folder|no model is named"):
            ImageClassifier(name, tmp_path / "models", downloads=downloads)


@pytest.mark.parametrize("name", ["resnet18", "x:resnet18", "hf-hub:timm/resnet18", ""])
def test_a_name_has_a_library(tmp_path, name):
    with pytest.raises(ModelError, match="of no known library"):
        ImageClassifier(name, tmp_path)


@pytest.mark.parametrize("name", ["timm:resnet18.a1_in1k", "timm:resnet18", "torchvision:resnet18"])
def test_official_weights_need_leave(tmp_path, name):
    with pytest.raises(ModelError, match="the machine's owner has not allowed"):
        ImageClassifier(name, tmp_path)
    assert ImageClassifier.version_of(name, tmp_path, True).startswith(f"{name}@")


def test_official_weights_that_cannot_be_fetched_are_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("timm:test_resnet.r160_in1k", "torchvision:squeezenet1_1"):
        with pytest.raises(ModelError, match=f"the weights of {name} cannot be fetched"):
            ImageClassifier(name, tmp_path, downloads=True)


def test_official_weights_once_fetched(tmp_path, monkeypatch, images):
    network = torchvision.models.squeezenet1_1().eval()
    file = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    model = ImageClassifier("torchvision:squeezenet1_1", tmp_path, downloads=True)
    transform = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(image)) for image in images])
        close(model.predict(images, "choice"), network(batch).softmax(1))
    assert model.classes[:2] == ("tench", "goldfish")


def test_a_model_without_known_classes_is_no_classifier():
    with pytest.raises(ModelError, match="is no classifier of known classes"):
        image_networks.download("timm", "vit_small_patch14_dinov2.lvd142m")


def test_what_fails_on_a_batch_is_said(tmp_path, network, images, monkeypatch):
    model = saved(tmp_path, checkpoint(network))
    monkeypatch.setattr(model._network.module, "forward", lambda batch: 1 / 0)
    with pytest.raises(ModelError, match="failed on a batch: division by zero"):
        model.predict(images, "choice")


def test_what_answers_in_another_shape_is_said(tmp_path, network, images, monkeypatch):
    model = saved(tmp_path, checkpoint(network))
    monkeypatch.setattr(model._network.module, "forward", lambda batch: batch)
    with pytest.raises(ModelError, match="it is no classifier of them"):
        model.predict(images, "choice")
