"""Tasks to predictions: read ahead, bounded in memory, taken from the store where it knows."""

import _thread
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from ml_backend.errors import LabelStudioError, MediaError, ModelError
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.files.media import Fetched
from ml_backend.labelstudio.files.texts import TextReader
from ml_backend.prediction import reading
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.model_choice import ModelChoice
from ml_backend.prediction.predicting import Prediction
from ml_backend.prediction.reading import Reading, Room, ahead
from ml_backend.predictors.base import Predictions
from ml_backend.settings import ProjectSettings
from ml_backend.storage.store import Store
from ml_backend.upstream.base import Answer
from tests.unit.waiting import until

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
        self.asked = []

    def version(self, name):
        assert name == "light"
        self.asked.append("version")
        return self.model.version

    def get(self, name):
        self.asked.append("get")
        return self.model


class Pictures:
    """Addresses are shades; "gone" cannot be fetched, "broken" not decoded."""

    def __init__(self):
        self.side = 4
        self.fetched = []
        self.decoded = []
        self.room = []

    def fetch_all(self, tasks, addresses):
        self.fetched.append(list(tasks))
        if "away" in addresses:
            raise LabelStudioError("cannot be reached")
        return [
            MediaError(f"task {task} is gone")
            if address == "gone"
            else Fetched(f"task {task}", address.encode(), self.side**2)
            for task, address in zip(tasks, addresses, strict=True)
        ]

    def decode_all(self, files):
        self.decoded.append(len(files))
        return [self.one(file) for file in files]

    def one(self, file):
        if file.content == b"broken":
            return MediaError(f"{file.where} is broken")
        return np.full((self.side, self.side, 3), int(file.content), dtype=np.uint8)


@pytest.fixture
def parts(tmp_path):
    model, pictures = Brightness(), Pictures()
    choice = ModelChoice(Models(model), lambda name: None, "light")
    texts = TextReader(lambda task, address: b"")
    return model, pictures, Prediction(choice, pictures, texts, Store(tmp_path))


def predict(parts, shades, first=100):
    ids = np.arange(len(shades), dtype=np.int64) + first
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
    before = len(parts[1].fetched), len(parts[0].calls)
    said = predict(parts, [50] * 39 + [60])
    assert sum(map(len, parts[1].fetched[before[0] :])) == 1
    assert parts[0].calls[before[1] :] == [1]
    assert said.controls[0].predictions.probs[39, 1] == pytest.approx(60 / 255)


def test_one_that_cannot_be_read_or_predicted_costs_itself_alone(parts):
    said = predict(parts, [50, "gone", 13, 60, "broken"])
    assert said.controls[0].found.tolist() == [True, False, False, True, False]
    assert said.errors == {
        101: "task 101 is gone",
        102: "task 102: cannot bear it",
        104: "task 104 is broken",
    }


def test_the_next_pictures_are_read_while_the_model_runs_and_no_more(parts):
    model, pictures, _ = parts
    second, third = threading.Event(), threading.Event()
    seen, fetch_all = [], pictures.fetch_all

    def fetch(tasks, addresses):
        if len(pictures.fetched) == 1:
            second.set()
        if len(pictures.fetched) == 2:
            third.set()
        return fetch_all(tasks, addresses)

    def running(items, geometry):
        if not model.calls:
            seen.append(second.wait(10))
            seen.append(third.wait(0.2))
        return type(model).predict(model, items, geometry)

    pictures.fetch_all, model.predict = fetch, running
    assert predict(parts, [50] * 96).controls[0].found.all()
    assert seen == [True, False]


def test_the_model_begins_with_few(parts):
    predict(parts, [50] * 96)
    assert parts[0].calls == [8, 16, 32, 32, 8]


@pytest.mark.parametrize(("side", "most"), [(6, 2), (20, 1)])
def test_large_pictures_go_through_a_few_at_a_time(parts, monkeypatch, side, most):
    monkeypatch.setattr(reading, "FULL_PIXELS", 100)
    parts[1].side = side
    said = predict(parts, range(20, 60))
    assert max(parts[1].decoded) == max(parts[0].calls) == most
    # What does not fit is fetched again, so not much more is fetched than fits.
    assert sum(map(len, parts[1].fetched)) <= 2 * 40 + 8
    np.testing.assert_allclose(
        said.controls[0].predictions.probs[:, 1], np.arange(20, 60) / 255, atol=1e-6
    )


def test_calls_at_once_share_the_room(parts, monkeypatch):
    monkeypatch.setattr(reading, "FULL_PIXELS", 100)
    model, pictures, prediction = parts
    prediction._room = Room(200)
    pictures.side, model.slow = 6, 0.002
    taken, plain = [], model.predict

    def watched(items, geometry):
        taken.append(prediction._room.taken)
        return plain(items, geometry)

    model.predict = watched
    with ThreadPoolExecutor(6) as pool:
        first = [pool.submit(predict, parts, range(20, 40), 1000 * n) for n in range(6)]
        for one in first:
            assert one.result(60).controls[0].found.all()
    assert 72 <= max(taken) <= 200
    assert prediction._room.taken == 0


def test_label_studio_being_away_is_raised_and_leaves_nothing(parts):
    threads = threading.active_count()
    with pytest.raises(LabelStudioError):
        predict(parts, [50] * 70 + ["away"])
    assert threading.active_count() <= threads
    assert parts[2]._room.taken == 0
    # What came before it is kept.
    calls = len(parts[0].calls)
    predict(parts, [50] * 24)
    assert len(parts[0].calls) == calls


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_model_that_ends_the_call_leaves_nothing(parts, error):
    threads = threading.active_count()

    def fails(items, geometry):
        raise error("no more")

    parts[0].predict = fails
    with pytest.raises(error):
        predict(parts, [50] * 96)
    assert threading.active_count() <= threads
    assert parts[2]._room.taken == 0


@pytest.fixture
def heard():
    """Interruptions are heard, also where a shell has them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_wait_that_is_interrupted_leaves_nothing(parts):
    """As a job's time limit interrupts it."""
    slow, fetch_all = threading.Event(), parts[1].fetch_all

    def fetch(tasks, addresses):
        if 108 in tasks:
            threading.Timer(0.05, _thread.interrupt_main).start()
            slow.wait(10)
        return fetch_all(tasks, addresses)

    parts[1].fetch_all = fetch
    with pytest.raises(KeyboardInterrupt):
        predict(parts, [50] * 96)
    assert parts[1].decoded[-1] == 16
    assert parts[2]._room.taken == 0


def test_texts_of_addresses_are_read_ahead_too(tmp_path):
    asked, running = [], threading.Event()

    def fetch(task, address):
        asked.append(task)
        if task >= 108:
            running.set()
        return address.encode()

    class Length(Brightness):
        reads = "text"

        def predict(self, items, geometry):
            assert running.wait(10)
            light = np.array([len(item) / 100 for item in items], dtype=np.float32)
            return Predictions.of_classes(np.stack([1 - light, light], axis=1))

    config = parse_config(
        '<View><Text name="t" value="$text" valueType="url"/><Choices name="c" toName="t">'
        '<Choice value="dark"/><Choice value="light"/></Choices></View>'
    )
    choice = ModelChoice(Models(Length()), lambda name: None, "light")
    prediction = Prediction(choice, Pictures(), TextReader(fetch), Store(tmp_path))
    texts = ["x" * (1 + n) for n in range(50)]
    ids = np.arange(50, dtype=np.int64) + 100
    inputs = TaskInputs(ids, [{"data": {"text": text}} for text in texts])
    (table,) = prediction.predict(1, config, ProjectSettings(), inputs).controls
    np.testing.assert_allclose(table.predictions.probs[:, 1], np.arange(1, 51) / 100, atol=1e-6)
    assert sorted(asked) == ids.tolist()


def test_sizes_need_no_room_and_hold_no_picture(parts):
    pictures = parts[1]
    pictures.side = 9
    inputs = TaskInputs(np.arange(3), [{"data": {"image": one}} for one in ("1", "gone", "broken")])
    read = Reading(inputs, pictures, TextReader(lambda task, address: b""), Room(1))
    size, gone, broken = read.sizes(CONFIG.controls[0], [0, 1, 2])
    assert size == (9, 9)
    assert (str(gone), str(broken)) == ("task 1 is gone", "task 2 is broken")
    assert pictures.decoded == [1, 1]


def test_what_is_larger_than_the_room_gets_in_alone_and_in_turn():
    room, order = Room(10), []
    room.take("a", 6)

    def ask(ticket, pixels):
        room.take(ticket, pixels)
        order.append(ticket)

    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(ask, "large", 99)
        until(lambda: len(room._waiting) == 1)
        small = pool.submit(ask, "small", 1)
        until(lambda: len(room._waiting) == 2)
        assert order == []
        room.give_back("a")
        large.result(10)
        assert order == ["large"]
        room.give_back("large")
        small.result(10)
    assert room.taken == 1


def test_a_chain_of_items_ends_with_its_error():
    def items():
        yield 1
        raise ValueError("no more")

    chain = ahead(items(), lambda item: None)
    assert next(chain) == 1
    with pytest.raises(ValueError, match="no more"):
        next(chain)


def test_what_was_made_and_is_not_wanted_is_dropped():
    dropped = []
    with closing(ahead(iter([1, 2, 3]), dropped.append)) as chain:
        assert next(chain) == 1
    assert dropped == [2]


class Foreign:
    """A model that speaks Label Studio's language and counts what it is asked."""

    def __init__(self):
        self.asked = []

    def version(self, project, xml):
        return "foreign@1"

    def predict(self, project, xml, tasks):
        self.asked.append([task.id for task in tasks])
        region = {
            "from_name": "c",
            "to_name": "i",
            "type": "choices",
            "value": {"choices": ["light"]},
        }
        return [Answer([region], 0.9, "1") for _ in tasks]


def test_what_relook_writes_asks_no_foreign_model_again_and_a_new_config_does(tmp_path):
    foreign, pictures = Foreign(), Pictures()
    choice = ModelChoice(Models(Brightness()), lambda name: foreign, "http://foreign")
    texts = TextReader(lambda task, address: b"")
    predictor = Prediction(choice, pictures, texts, Store(tmp_path))

    def ask(config, **data):
        inputs = TaskInputs(np.array([7]), [{"data": {"image": "50", **data}}])
        return predictor.predict(1, config, ProjectSettings(), inputs)

    said = ask(CONFIG)
    np.testing.assert_allclose(said.controls[0].predictions.probs, [[0.1, 0.9]], rtol=1e-6)
    ask(CONFIG, relook_flag="needs-review", relook_priority=0.7)
    assert foreign.asked == [[7]]
    ask(CONFIG, beside="new")
    ask(parse_config(CONFIG.xml.replace("<Choices", '<Choices choice="multiple"')), beside="new")
    assert foreign.asked == [[7]] * 3


def test_classes_of_one_label_add_up_only_where_they_exclude_each_other():
    mapping = np.array([0, 0, 1], dtype=np.int32)
    exclusive = Predictions.of_classes(np.array([[0.5, 0.3, 0.2]], dtype=np.float32))
    apart = Predictions.of_classes(np.array([[0.5, 0.4, 0.1]] * 2, dtype=np.float32) + 0.3)
    np.testing.assert_allclose(exclusive.in_labels(mapping, 2).probs, [[0.8, 0.2]])
    np.testing.assert_allclose(apart.in_labels(mapping, 2).probs[0], [0.8, 0.4])


def test_a_task_alone_is_joined_as_among_others_and_never_to_more_than_all():
    mapping = np.zeros(1000, dtype=np.int32)
    many = np.random.default_rng(0).dirichlet(np.full(1000, 0.05), 200).astype(np.float32)
    assert Predictions.of_classes(many).in_labels(mapping, 1).probs.max() <= 1
    some = Predictions.of_classes(np.array([[0.6, 0.4], [0.9, 0.8]], dtype=np.float32))
    together = some.in_labels(mapping[:2], 1).probs[0]
    assert some.take(np.array([0])).in_labels(mapping[:2], 1).probs[0] == together


def test_a_foreign_region_without_sizes_is_measured_on_its_picture(tmp_path):
    class Boxes(Foreign):
        def predict(self, project, xml, tasks):
            value = {"x": 50, "y": 50, "width": 25, "height": 25, "rectanglelabels": ["a"]}
            region = {"from_name": "b", "to_name": "i", "type": "rectanglelabels", "value": value}
            return [Answer([region], 0.9, "1") for _ in tasks]

    config = parse_config(
        '<View><Image name="i" value="$image"/><RectangleLabels name="b" toName="i">'
        '<Label value="a"/></RectangleLabels></View>'
    )
    pictures = Pictures()
    pictures.side = 8
    choice = ModelChoice(Models(Brightness()), lambda name: Boxes(), "http://foreign")
    texts = TextReader(lambda task, address: b"")
    inputs = TaskInputs(np.arange(12), [{"data": {"image": one}} for one in ["5"] * 11 + ["gone"]])
    said = Prediction(choice, pictures, texts, Store(tmp_path)).predict(
        1, config, ProjectSettings(), inputs
    )
    assert said.errors == {11: "task 11 is gone"}
    np.testing.assert_allclose(
        said.controls[0].predictions.outline.table(5), [[4, 4, 2, 2, 0]] * 11
    )
    assert set(pictures.decoded) <= {0, 1}


def test_a_model_is_looked_up_once_a_request(tmp_path):
    second = '<Choices name="d" toName="i"><Choice value="dark"/></Choices></View>'
    config = parse_config(CONFIG.xml.replace("</View>", second))
    models = Models(Brightness())
    choice = ModelChoice(models, lambda name: None, "light")
    texts = TextReader(lambda task, address: b"")
    prediction = Prediction(choice, Pictures(), texts, Store(tmp_path))
    inputs = TaskInputs(np.arange(40), [{"data": {"image": "50"}}] * 40)
    said = prediction.ask(1, choice.serving(1, config, ProjectSettings()), inputs)
    assert models.asked == ["get"]
    assert [table.control.name for table in said.controls] == ["c", "d"]
    assert all(table.found.all() for table in said.controls)
    models.asked.clear()
    prediction.predict(1, config, ProjectSettings(), inputs)
    assert models.asked.count("version") == models.asked.count("get") == 2
