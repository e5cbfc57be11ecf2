"""Other people's models, without a network: what they answer is read, and made into columns."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.errors import ModelError
from ml_backend.jobs.queues.limit import OutOfTime
from ml_backend.settings import ServiceSettings
from ml_backend.upstream.answers import read_reply, version_text
from ml_backend.upstream.base import Answer, UpstreamTask
from ml_backend.upstream.batches import SilentError, SpoiledError, ask_in_batches, batches
from ml_backend.upstream.columns import UNSCORED, predictions_of
from ml_backend.upstream.existing import ExistingUpstream
from ml_backend.upstream.in_process import InProcessUpstream
from ml_backend.upstream.registry import UpstreamRegistry
from ml_backend.upstream.remote import RemoteUpstream
from tests import upstream_classes
from tests.unit.regions import BOX, MANY, MASK, ONE, POINT, POLYGON, SPAN, box, region

CONTROLS = (BOX, POLYGON, MASK, POINT, ONE, MANY, SPAN)
#: 4 x 2 pixels, the left half of them drawn, in the editor's bytes.
RLE = [0, 0, 0, 32, 57, 27, 252, 255, 243, 128, 79, 255, 56, 0]


def answer(*regions, score=None):
    return Answer(list(regions), score, "v")


def sizes(*rows):
    return np.array(rows, dtype=np.int32)


def tasks(*names):
    return [UpstreamTask(i, {"id": i, "data": {"name": name}}) for i, name in enumerate(names, 1)]


# Columns.


def test_boxes_become_pixels_of_the_image_that_they_state():
    said = predictions_of(BOX, [answer(), answer(box("b"))], sizes([10, 10], [10, 10]))
    assert said.size.tolist() == [[10, 10], [200, 100]]
    assert (said.item.tolist(), said.label.tolist()) == ([1], [1])
    np.testing.assert_allclose(said.outline[0], [20, 20, 60, 40, 0])
    assert said.probs.shape == (2, 0)


def test_without_a_stated_size_ours_is_taken_and_without_both_nothing_can_be_placed(caplog):
    bare = box() | {"original_width": None, "original_height": 0}
    said = predictions_of(BOX, [answer(bare), answer(bare)], sizes([50, 40], [0, 0]))
    assert said.item.tolist() == [0]
    np.testing.assert_allclose(said.outline[0], [5, 8, 15, 16, 0])
    assert "1 regions of no or of another image size" in caplog.text


@pytest.mark.parametrize("wild", [10**9, 10**400, -5, 0.5, "200", True, None])
def test_wild_sizes_are_none(wild):
    said = predictions_of(BOX, [answer(box() | {"original_width": wild})], sizes([50, 40]))
    assert said.size.tolist() == [[50, 40]]


def test_a_score_is_the_regions_own_or_its_predictions_or_none():
    one = answer(box(), box() | {"score": 0.9}, box() | {"score": 0.001}, score=0.7)
    said = predictions_of(BOX, [one, answer(box())])
    np.testing.assert_allclose(said.score, [0.7, 0.9, UNSCORED])
    assert said.score.dtype == np.float32
    assert said.item.tolist() == [0, 0, 1]


def test_labels_that_the_tag_does_not_have_are_said(caplog):
    said = predictions_of(BOX, [answer(box("A"), box("b"))])
    assert said.label.tolist() == [1]
    assert "'A' (closest label: 'a')" not in caplog.text  # Any case means the label.
    predictions_of(BOX, [answer(box("bb"))])
    assert "'bb'" in caplog.text


def test_masks_of_another_size_than_the_rest_cannot_be_placed(caplog):
    mask = {"value": {"brushlabels": ["a"], "format": "rle", "rle": RLE}}
    small = region(MASK) | mask | {"original_width": 4, "original_height": 2}
    said = predictions_of(MASK, [answer(small), answer(region(MASK) | mask, small)])
    assert said.size.tolist() == [[4, 2], [4, 2]]
    assert said.item.tolist() == [0, 1]
    assert said.outline[0][:2].tolist() == [2, 4]


def test_texts_have_no_size():
    span = region(SPAN, value={"start": 3, "end": 7})
    said = predictions_of(SPAN, [answer(span)])
    assert said.outline[0].tolist() == [3, 7]


def probs(control, *answers):
    table = predictions_of(control, answers).probs
    assert table.dtype == np.float32
    return table


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(region(ONE, "y") | {"score": 0.9}), [0.1, 0.9]),
        (answer(region(ONE, "y"), score=0.8), [0.2, 0.8]),
        (answer(region(ONE, "y")), [0.25, 0.75]),
        # Nothing said is not a choice between all.
        (answer(), [0, 0]),
        (answer(region(ONE, "unknown"), score=0.8), [0, 0]),
        # Below chance the chosen one stays the likeliest.
        (answer(region(ONE, "y"), score=0.2), [0.495, 0.505]),
        # Of two that exclude each other the surer.
        (answer(region(ONE, "y") | {"score": 0.9}, region(ONE, "x") | {"score": 0.6}), [0.1, 0.9]),
    ],
)
def test_a_choice_becomes_probabilities(given, expected):
    np.testing.assert_allclose(probs(ONE, answer(), given)[1], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(region(MANY, ["y"]) | {"score": 0.9}), [0.1, 0.9]),
        (answer(region(MANY, ["x", "y"]) | {"score": 0.9}), [0.9, 0.9]),
        (answer(region(MANY, ["x"])), [0.75, 0.25]),
        (answer(), [0, 0]),
    ],
)
def test_several_choices_are_questions_of_their_own(given, expected):
    np.testing.assert_allclose(probs(MANY, answer(), given)[1], expected, rtol=1e-6)


def test_no_answers_are_empty_columns():
    for control in CONTROLS:
        said = predictions_of(control, [])
        assert len(said) == len(said.item) == len(said.outline) == 0


# What came back.


KEYS = (
    *("result", "value", "score", "type", "from_name", "to_name", "original_width", "id"),
    *("original_height", "x", "y", "width", "height", "rotation", "points", "rle"),
    *("start", "end", "choices", "rectanglelabels"),
)
WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "\ud800", "choices", "one", "a", "Rectanglelabels"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


def regions_of(control):
    def made(value, names, more):
        return region(control, names, value if isinstance(value, dict) else None) | (
            more if isinstance(more, dict) else {}
        )

    return st.builds(made, WILD, st.sampled_from(["a", "b", "x", "y", ["x", "y"], []]), WILD)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_that_comes_back_breaks_the_columns(data):
    control = data.draw(st.sampled_from(CONTROLS))
    said = data.draw(
        WILD | st.fixed_dictionaries({"result": st.lists(regions_of(control), max_size=3)})
    )
    reply = read_reply("m", 7, said, "v")
    assert reply is None or isinstance(reply, Answer | ModelError)
    if isinstance(reply, ModelError):
        assert str(reply).startswith("task 7: ")
        assert len(str(reply)) < 1000
        str(reply).encode()
    if isinstance(reply, Answer):
        columns = predictions_of(control, [reply])
        assert np.isfinite(columns.outline.values).all()
        assert ((columns.score >= 0) & (columns.score <= 1)).all()
        assert ((columns.probs >= 0) & (columns.probs <= 1)).all()


@pytest.mark.parametrize("nothing", [None, [], {}, [None], [[], {}]])
def test_no_prediction_is_told_from_one_of_nothing(nothing):
    assert read_reply("m", 1, nothing, "v") is None
    assert read_reply("m", 1, {"result": []}, "v") == Answer([], None, "v")


def test_arrows_between_regions_are_not_regions():
    arrow = {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right"}
    reply = read_reply("m", 1, {"result": [box(), arrow], "score": 0, "model_version": 3}, "v")
    assert reply == Answer([box()], None, "3")


def test_versions_are_short_and_printable():
    assert version_text(" 1\n2 ") == "12"
    assert version_text({"a": 1}, "old") == "old"
    assert len(version_text("x" * 1000)) == 80


# Batches.


def test_batches_are_cut_by_number_and_size():
    cut = [len(batch) for batch in batches(tasks(*"aaabbbb"), 3, 10, lambda _: 4)]
    assert cut == [2, 2, 2, 1]
    assert [len(batch) for batch in batches(tasks(*"aaaa"), 3, 10, lambda _: 1)] == [3, 1]
    assert [len(batch) for batch in batches(tasks(*"aa"), 3, 10, lambda _: 99)] == [1, 1]


def test_a_spoiled_batch_is_asked_again_task_by_task_and_in_order():
    def ask(batch):
        if any(task.id == 2 for task in batch):
            raise SpoiledError("spoiled")
        return [Answer([], None, str(task.id)) for task in batch]

    said = ask_in_batches(batches(tasks(*"abcde"), 3, 99, lambda _: 1), ask)
    assert [getattr(one, "model_version", str(one)) for one in said] == [
        "1",
        "task 2: spoiled",
        *"345",
    ]


def test_a_model_that_always_fails_is_not_asked_task_by_task_for_ever():
    asked = []

    def ask(batch):
        asked.append(len(batch))
        raise SpoiledError("no weights")

    said = ask_in_batches(batches(tasks(*"a" * 100), 16, 99, lambda _: 1), ask)
    assert [str(one) for one in said] == [f"task {i}: no weights" for i in range(1, 101)]
    assert asked == [16] + [1] * 16 + [16] * 5 + [4]


def test_patience_is_renewed_by_an_answer():
    def ask(batch):
        if batch[0].id % 2:
            raise SilentError("silent")
        return [None]

    said = ask_in_batches(batches(tasks(*"abcdef"), 1, 99, lambda _: 1), ask)
    assert [one is None for one in said] == [False, True] * 3


# Predictions that stand.


def standing(*predictions):
    return UpstreamTask(1, {"id": 1, "data": {}, "predictions": list(predictions)})


def test_the_newest_standing_prediction_of_the_version_is_taken():
    def prediction(number, version, label):
        return {"id": number, "model_version": version, "result": [box(label)], "score": 0.5}

    upstream = ExistingUpstream("existing:sam 2")
    assert upstream.version(1, "<View/>") == "existing@sam 2"
    said = upstream.predict(
        1,
        "<View/>",
        [
            standing(prediction(9, "sam 2", "b"), prediction(3, "sam 2", "a")),
            standing(prediction(9, "other", "b")),
            standing(prediction(4, "sam 2", "a") | {"result": []}),
            standing(prediction(4, "sam 2", "a") | {"result": "[...]"}),
            UpstreamTask(5, {"id": 5, "data": {}}),
        ],
    )
    assert said[0].result[0]["value"]["rectanglelabels"] == ["b"]
    assert said[1] is None
    assert said[2] == Answer([], 0.5, "sam 2")
    assert "cannot be read" in str(said[3])
    assert said[4] is None


def test_a_version_must_be_named():
    with pytest.raises(ModelError, match="existing:MODEL_VERSION"):
        ExistingUpstream("existing:")


# Classes in process.


def in_process(name):
    name = f"tests.upstream_classes:{name}"
    return InProcessUpstream(name, [name])


def test_only_classes_of_the_owner_run():
    for allowed in ([], ["os:system "], ["os"]):
        with pytest.raises(ModelError, match="RELOOK_MODEL_CLASSES"):
            InProcessUpstream("os:system", allowed)


def test_a_class_of_the_second_kind():
    upstream = in_process("Second")
    first, second = upstream.predict(1, "<View/>", tasks("x", "y"))
    assert first.result == [upstream_classes.choice("x", score=0.8)]
    assert (second.score, second.model_version) == (None, "0.0.1")
    assert upstream.version(1, "<View/>") == "tests.upstream_classes:Second@0.0.1"


def test_a_subclass_that_hands_on_is_told_the_same():
    version = in_process("SecondHandsOn").version(12, "<View/>")
    assert version.endswith("@of project 12, 7 letters")


def test_a_class_of_the_first_kind_is_called_by_its_source():
    upstream = in_process("First")
    given = tasks("x")
    (reply,) = upstream.predict(1, "<View/>", given)
    assert (reply.score, reply.model_version) == (0.6, upstream.version(1, "").split("@")[1])
    assert given == tasks("x"), "what it writes into its tasks stays with it"


def test_numbers_of_numpy_are_numbers():
    (reply,) = in_process("Numbers").predict(1, "", tasks("x"))
    assert math.isclose(reply.result[0]["score"], 0.25)


def test_a_plain_class_that_says_nothing():
    assert in_process("Plain").predict(1, "", tasks("x", "y")) == [None, None]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Exits", "cannot be made (SystemExit: 3)"),
        ("NoModel", "fails to predict (AttributeError"),
        ("Missing", "cannot be imported (AttributeError"),
        ("Unversioned", "fails to predict (RuntimeError: no weights"),
    ],
)
def test_what_is_wrong_with_a_class_is_one_clear_error(name, said):
    for reply in in_process(name).predict(1, "", tasks("x", "y")):
        assert isinstance(reply, ModelError)
        assert said in str(reply)
        assert f"tests.upstream_classes:{name}" in str(reply)


@pytest.mark.parametrize("name", ["Stumbles", "Endless"])
def test_one_task_at_fault_costs_one_task(name):
    said = in_process(name).predict(1, "", tasks("x", "z", "y"))
    assert [isinstance(one, ModelError) for one in said] == [False, True, False]
    assert str(said[1]).startswith("task 2: ")


def test_what_a_class_lacks_is_named_with_the_mend(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wants_label_studio_ml.py").write_text("import label_studio_ml_of_another_name")
    for module, mend in (
        ("wants_label_studio_ml", "`pip install label-studio-ml-of-another-name`"),
        # Nobody's package: the owner's own module.
        ("no_such_module.models", "name its folder in PYTHONPATH"),
    ):
        upstream = InProcessUpstream(f"{module}:A", [f"{module}:A"])
        with pytest.raises(ModelError) as error:
            upstream.version(1, "")
        assert mend in str(error.value)


def test_the_queues_own_time_out_is_not_the_models(monkeypatch):
    def too_late(self, tasks, context=None):
        raise OutOfTime("too late")

    monkeypatch.setattr(upstream_classes.Second, "predict", too_late)
    with pytest.raises(OutOfTime):
        in_process("Second").predict(1, "", tasks("x"))


# By name.


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("http://sam:9090", ("sam",)),
        ("http://SAM:9090/base/", ("Sam:9090",)),
        ("https://sam", ("sam:443",)),
        ("http://[::1]:9090", ("[::1]:9090",)),
        ("http://[::1]:9090", ("[::1]",)),
    ],
)
def test_allowed_hosts(address, hosts):
    assert RemoteUpstream(address, hosts).name


def test_the_name_holds_no_password_and_nothing_unprintable():
    named = RemoteUpstream("http://me:secret@Sam:9090/a%0Ab c/é/?q=1#f", ("sam",))
    assert named.name == "sam:9090/a%0Ab%20c/%C3%A9"


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("http://sam:9090", ()),
        ("http://sam:9090", ("sam:80", "am", "sam:909")),
        ("http://sam@evil:9090", ("sam",)),
        ("http://sam:9090@evil", ("sam", "sam:9090")),
        ("http://sam.evil", ("sam",)),
        ("http://evil/sam", ("sam",)),
        ("http://evil#sam", ("sam",)),
        ("http://", ("",)),
    ],
)
def test_hosts_that_are_not_allowed(address, hosts):
    with pytest.raises(ModelError, match=r"RELOOK_MODEL_HOSTS|must be http"):
        RemoteUpstream(address, hosts)


def test_upstreams_by_name_are_kept(monkeypatch):
    monkeypatch.setenv("RELOOK_MODEL_HOSTS", '["sam:9090"]')
    monkeypatch.setenv("RELOOK_MODEL_CLASSES", '["tests.upstream_classes:Plain"]')
    upstreams = UpstreamRegistry(ServiceSettings())
    for name, kind in (
        ("http://sam:9090", RemoteUpstream),
        ("existing:v1", ExistingUpstream),
        ("tests.upstream_classes:Plain", InProcessUpstream),
    ):
        assert isinstance(upstreams.get(name), kind)
        assert upstreams.get(name) is upstreams.get(name)
    for name in ("http://other:9090", "os:system", "existing:"):
        with pytest.raises(ModelError):
            upstreams.get(name)
    for name in ("yolo.pt", "timm:resnet18", "", "C:\\models\\yolo.pt", "a.b:c.d"):
        assert upstreams.get(name) is None
