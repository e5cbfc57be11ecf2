"""Tasks to predictions: read ahead, bounded in memory, taken from the store where it knows."""

import threading
import time

import numpy as np
import pytest

from ml_backend import prediction, reading
from ml_backend.errors import LabelStudioError, MediaError, ModelError
from ml_backend.inputs import TaskInputs
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.texts import TextReader
from ml_backend.model_choice import ModelChoice
from ml_backend.prediction import Prediction
from ml_backend.predictors.base import Predictions
from ml_backend.settings import ProjectSettings
from ml_backend.store import Store

CONFIG = parse_config(
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    '<Choice value="dark"/><Choice value="light"/></Choices></View>'
)


class Brightness:
    """A model that a test can follow: how light a picture is."""

    version = "light@1"
    classes = ("dark", "light")
    joints = ()
    reads = "image"
    serves = frozenset({"choice"})

    def __init__(self):
        self.calls = []
        self.slow = 0.0

    def predict(self, items, geometry):
        assert geometry == "choice"
        if any(item[0, 0, 0] == 13 for item in items):
            raise ModelError("cannot bear it")
        time.sleep(self.slow)
        self.calls.append(len(items))
        light = np.array([item.mean() / 255 for item in items], dtype=np.float32)
        size = np.array([item.shape[1::-1] for item in items], dtype=np.int32)
        return Predictions.of_classes(np.stack([1 - light, light], axis=1), size)


class Models:
    def __init__(self, model):
        self.model = model

    def version(self, name):
        assert name == "light"
        return self.model.version

    def get(self, name):
        return self.model


class Pictures:
    """Addresses are shades; "gone" cannot be read."""

    def __init__(self):
        self.side = 4
        self.reads = []
        self.inside = threading.Event()

    def read(self, tasks, addresses):
        self.reads.append(list(tasks))
        return [self.one(task, address) for task, address in zip(tasks, addresses, strict=True)]

    def one(self, task, address):
        if address == "gone":
            return MediaError(f"task {task} is gone")
        if address == "away":
            raise LabelStudioError("cannot be reached")
        return np.full((self.side, self.side, 3), int(address), dtype=np.uint8)


@pytest.fixture
def parts(tmp_path):
    model, pictures = Brightness(), Pictures()
    choice = ModelChoice(Models(model), lambda name: None, "light")
    texts = TextReader(lambda task, address: b"")
    return model, pictures, Prediction(choice, pictures, texts, Store(tmp_path))


def predict(parts, shades):
    ids = np.arange(len(shades), dtype=np.int64) + 100
    inputs = TaskInputs(ids, [{"data": {"image": str(shade)}} for shade in shades])
    return parts[2].predict(1, CONFIG, ProjectSettings(), inputs)


def test_every_task_gets_its_own_answer_in_its_place(parts):
    shades = np.random.default_rng(0).integers(20, 256, 100)
    said = predict(parts, shades)
    (table,) = said.controls
    assert table.found.all()
    np.testing.assert_allclose(table.predictions.probs[:, 1], shades / 255, atol=1e-6)
    assert max(parts[0].calls) <= 32
    assert sum(parts[0].calls) == 100


def test_what_is_known_is_neither_read_nor_predicted_again(parts):
    predict(parts, [50] * 40)
    before = len(parts[1].reads), len(parts[0].calls)
    said = predict(parts, [50] * 39 + [60])
    assert sum(map(len, parts[1].reads[before[0] :])) == 1
    assert parts[0].calls[before[1] :] == [1]
    assert said.controls[0].predictions.probs[39, 1] == pytest.approx(60 / 255)


def test_one_that_cannot_be_read_or_predicted_costs_itself_alone(parts):
    said = predict(parts, [50, "gone", 13, 60])
    assert said.controls[0].found.tolist() == [True, False, False, True]
    assert said.errors == {101: "task 101 is gone", 102: "task 102: cannot bear it"}


def test_the_next_pictures_are_read_while_the_model_runs(parts):
    model, pictures, _ = parts
    model.slow = 0.3
    read_at, original = [], pictures.read

    def read(tasks, addresses):
        read_at.append(time.monotonic())
        time.sleep(0.06)
        return original(tasks, addresses)

    pictures.read = read
    begin = time.monotonic()
    predict(parts, [50] * 96)
    # One after the other it would take 3 x (0.3 + 4 x 0.06) s.
    assert time.monotonic() - begin < 1.5
    assert len(read_at) == 12


def test_large_pictures_go_through_a_few_at_a_time(parts, monkeypatch):
    monkeypatch.setattr(prediction, "FULL_PIXELS", 100)
    parts[1].side = 6
    said = predict(parts, range(20, 60))
    assert max(parts[0].calls) == 8
    np.testing.assert_allclose(
        said.controls[0].predictions.probs[:, 1], np.arange(20, 60) / 255, atol=1e-6
    )


def test_label_studio_being_away_is_raised_and_leaves_no_thread(parts):
    threads = threading.active_count()
    with pytest.raises(LabelStudioError):
        predict(parts, [50] * 70 + ["away"])
    assert threading.active_count() <= threads


def test_a_chain_of_items_ends_with_its_error():
    def items():
        yield 1
        raise ValueError("no more")

    chain = reading.ahead(items())
    assert next(chain) == 1
    with pytest.raises(ValueError, match="no more"):
        next(chain)
