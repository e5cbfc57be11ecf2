import threading

import numpy as np
import pytest

from ml_backend.errors import ModelError
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions
from ml_backend.predictors.batching import BatchingPredictor
from tests.unit.waiting import until


class Counting:
    """Finds in the text "3" three boxes at x = 3; writes down what it was called with."""

    version = "counting@00000000"
    classes = ("a", "b")
    joints = ()
    reads = "text"
    serves = frozenset({"box", "choice"})

    def __init__(self):
        self.calls = []
        self.may_go = threading.Event()
        self.may_go.set()

    def predict(self, items, geometry):
        self.calls.append((list(items), geometry))
        assert self.may_go.wait(10)
        for item in items:
            if item == "broken":
                raise ModelError("a broken item")
            if item == "crash":
                raise TypeError("not foreseen")
            if item == "interrupt" and len(self.calls) == 1:
                raise KeyboardInterrupt
        count = np.array([int(item) for item in items], dtype=np.int64)
        item = np.repeat(np.arange(len(items)), count)
        box = np.zeros((len(item), 5))
        box[:, 0] = count[item]
        return Predictions(
            size=np.stack([count, count], axis=1).astype(np.int32),
            item=item,
            label=(item * 0).astype(np.int32),
            score=np.ones(len(item), dtype=np.float32),
            outline=Outlines.of_table(box),
            probs=np.stack([count, count], axis=1).astype(np.float32),
        )


def check(said, items):
    counts = [int(item) for item in items]
    np.testing.assert_array_equal(said.size[:, 0], counts)
    np.testing.assert_array_equal(said.probs[:, 0], counts)
    np.testing.assert_array_equal(said.item, np.repeat(np.arange(len(items)), counts))
    np.testing.assert_array_equal(said.outline.table(5)[:, 0], np.repeat(counts, counts))


class Caller(threading.Thread):
    def __init__(self, model, items, geometry="box"):
        super().__init__(daemon=True)
        self.model, self.items, self.geometry = model, items, geometry
        self.said = self.error = None
        self.start()

    def run(self):
        try:
            self.said = self.model.predict(self.items, self.geometry)
        except BaseException as error:
            self.error = error

    def result(self):
        self.join(10)
        assert not self.is_alive()
        return self.said


def meet(inner, model, *lots, geometry="box"):
    """Let calls arrive, in order, while the model is busy with an item of its own."""
    inner.may_go.clear()
    first = Caller(model, ["1"])
    until(lambda: inner.calls)
    callers = []
    for number, items in enumerate(lots):
        callers.append(Caller(model, items, geometry))
        until(lambda wanted=number + 1: len(model._waiting) == wanted)
    inner.may_go.set()
    check(first.result(), ["1"])
    return callers


@pytest.fixture
def inner():
    return Counting()


def test_it_is_the_model_that_it_wraps(inner):
    model = BatchingPredictor(inner)
    assert (model.version, model.classes, model.reads) == ("counting@00000000", ("a", "b"), "text")
    check(model.predict(["2", "0", "3"], "box"), ["2", "0", "3"])
    assert inner.calls == [(["2", "0", "3"], "box")]
    assert not model.in_use


def test_no_items_are_no_error(inner):
    assert len(BatchingPredictor(inner).predict([], "box")) == 0


def test_a_geometry_that_the_model_lacks_is_refused(inner):
    with pytest.raises(ModelError, match="does not answer in mask, but in box, choice"):
        BatchingPredictor(inner).predict(["1"], "mask")


def test_calls_that_meet_share_a_batch(inner):
    model = BatchingPredictor(inner)
    callers = meet(inner, model, ["1"], ["0", "2"], [], ["3"])
    for caller in callers:
        check(caller.result(), caller.items)
    assert inner.calls[1:] == [(["1", "0", "2", "3"], "box")]


def test_geometries_go_apart_and_the_oldest_first(inner):
    model = BatchingPredictor(inner)
    inner.may_go.clear()
    callers = [Caller(model, ["1"])]
    until(lambda: inner.calls)
    for number, geometry in enumerate(("choice", "box", "choice")):
        callers.append(Caller(model, [str(number)], geometry))
        until(lambda wanted=number + 1: len(model._waiting) == wanted)
    inner.may_go.set()
    for caller in callers:
        check(caller.result(), caller.items)
    assert inner.calls[1:] == [(["0", "2"], "choice"), (["1"], "box")]


def test_a_batch_has_its_bound_and_a_long_call_lets_others_in(inner):
    model = BatchingPredictor(inner, most=4)
    long, short = meet(inner, model, ["1"] * 10, ["2"])
    check(long.result(), ["1"] * 10)
    check(short.result(), ["2"])
    sizes = [len(items) for items, _ in inner.calls]
    assert max(sizes) <= 4
    assert ["2"] in [items for items, _ in inner.calls[:3]]


@pytest.mark.parametrize(("item", "kind"), [("broken", ModelError), ("crash", TypeError)])
def test_an_error_goes_to_its_own_caller(inner, item, kind):
    model = BatchingPredictor(inner)
    good, bad, other = meet(inner, model, ["2"], ["1", item], ["3"])
    check(good.result(), ["2"])
    check(other.result(), ["3"])
    bad.join(10)
    assert isinstance(bad.error, kind)
    check(model.predict(["1"], "box"), ["1"])


def test_an_interrupted_caller_leaves_the_model_to_the_others(inner):
    model = BatchingPredictor(inner)
    inner.may_go.clear()
    stopped = Caller(model, ["interrupt"])
    until(lambda: inner.calls)
    waiting = Caller(model, ["2"])
    until(lambda: model._waiting)
    inner.may_go.set()
    check(waiting.result(), ["2"])
    stopped.join(10)
    assert isinstance(stopped.error, KeyboardInterrupt)
    assert not model.in_use


def test_many_threads_each_get_their_own(inner):
    model = BatchingPredictor(inner, most=8)
    before = threading.active_count()
    random = np.random.default_rng(0)
    lots = [[str(n) for n in random.integers(0, 5, random.integers(0, 20))] for _ in range(200)]
    callers = [Caller(model, items) for items in lots]
    for caller in callers:
        check(caller.result(), caller.items)
    assert threading.active_count() == before
    assert not model.in_use
    assert max(len(items) for items, _ in inner.calls) <= 8
