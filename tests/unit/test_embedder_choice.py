from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf

from ml_backend.embedders.choice import EmbedderChoice
from ml_backend.embedders.shared import SharedFeatures
from ml_backend.errors import ModelError
from ml_backend.labelstudio.config import parse_config
from ml_backend.prediction.model_choice import ModelChoice
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ProjectSettings, ServiceSettings

MODELS = Path(__file__).parents[2] / "ml_backend" / "demo" / "models"
(CONTROL,) = parse_config(
    '<View><Image name="i" value="$i"/><Choices name="c" toName="i"><Choice value="3"/></Choices>'
    "</View>"
).controls


def choice(folder, upstream=lambda name: None):
    settings = ServiceSettings(model_dir=folder, threads=1)
    models = ModelChoice(ModelRegistry(settings), upstream, "digits-classify.pt")
    return EmbedderChoice(models, settings)


def save_network(folder, seed):
    torch.manual_seed(seed)
    network = timm.create_model("resnet10t", pretrained=False, channels=(8, 16, 16, 16))
    save_for_hf(network, folder / "net", safe_serialization=True)


def test_without_a_name_it_is_the_features_of_the_tags_model():
    found = choice(MODELS).embedder(CONTROL, ProjectSettings())
    assert isinstance(found, SharedFeatures)
    assert found.version.startswith("digits-classify@")


def test_none_turns_embeddings_off():
    assert choice(MODELS).embedder(CONTROL, ProjectSettings(embedder="none")) is None


def test_a_model_of_others_has_no_features_of_its_own():
    assert choice(MODELS, lambda name: object()).embedder(CONTROL, ProjectSettings()) is None


def test_a_named_one_is_loaded_once_and_anew_when_its_files_are_replaced(tmp_path):
    save_network(tmp_path, 0)
    embedders, settings = choice(tmp_path), ProjectSettings(embedder="timm:net")
    first = embedders.embedder(CONTROL, settings)
    assert first is not None
    assert embedders.embedder(CONTROL, settings) is first
    save_network(tmp_path, 1)
    second = embedders.embedder(CONTROL, settings)
    assert second is not None
    assert second.version != first.version


def test_an_embedder_of_images_is_none_for_texts(tmp_path):
    save_network(tmp_path, 0)
    text = replace(CONTROL, reads="text")
    assert choice(tmp_path).embedder(text, ProjectSettings(embedder="timm:net")) is None


@pytest.mark.parametrize("name", ["timm:nowhere", "nowhere.onnx", "../x.onnx", "None"])
def test_a_missing_one_is_named(tmp_path, name):
    with pytest.raises(ModelError, match=name.partition(":")[2] or "x.onnx|nowhere|None"):
        choice(tmp_path).embedder(CONTROL, ProjectSettings(embedder=name))
