import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import columns
from analysis.crowd.votes import Votes
from analysis.findings import Findings
from analysis.geometry.keypoint_matching import Keypoints
from analysis.regions import Regions
from analysis.text.span_matching import Spans

# A good row of each table, twice over, as lists.
GOOD = {
    Regions: {
        "task": [7, 8],
        "label": [1, -1],
        "box": [[0, 0, 1, 1], [0, 0, 2, 2.5]],
        "score": [0.5, 1],
    },
    Spans: {
        "task": [7, 8],
        "start": [0, 3],
        "end": [2, 4],
        "label": [1, -1],
        "score": [0, 0.5],
    },
    Keypoints: {
        "task": [7, 8],
        "instance": [0, 1],
        "index": [1, -1],
        "x": [0, -1.5],
        "y": [2, 3],
        "score": [0, 1],
        "area": [0, 9],
    },
    Votes: {"item": [7, 8], "annotator": [0, 1], "label": [1, -1]},
    Findings: {
        "task": [7, 8],
        "kind": ["missing", "spurious"],
        "annotation": [-1, 4],
        "prediction": [3, -1],
        "score": [0.25, 1],
        "label": [1, -1],
    },
}
WHOLE = {"task", "label", "start", "end", "instance", "index", "item", "annotator"}
WHOLE |= {"annotation", "prediction"}
CASES = [(table, name) for table, given_ in GOOD.items() for name in given_]


def build(table, **changed):
    return table(**(GOOD[table] | changed))


@pytest.mark.parametrize("table", GOOD)
def test_lists_arrays_and_arrays_of_other_types_make_the_same_table(table):
    from_lists = build(table)
    from_arrays = build(table, **{name: np.array(values) for name, values in GOOD[table].items()})
    kept = {name: getattr(from_lists, name) for name in GOOD[table]}
    for name, column in kept.items():
        assert column.flags.c_contiguous
        assert len(column) == 2
        np.testing.assert_array_equal(column, GOOD[table][name])
        np.testing.assert_array_equal(column, getattr(from_arrays, name))
        assert column.dtype == getattr(from_arrays, name).dtype
        # What is right already is not copied.
        assert np.shares_memory(getattr(table(**kept), name), column)
    wide = {name: np.array(GOOD[table][name], dtype=float) for name in WHOLE & set(kept)}
    for name in wide:
        assert getattr(build(table, **wide), name).dtype == kept[name].dtype


@pytest.mark.parametrize("table", GOOD)
def test_no_rows_make_a_table(table):
    assert len(table(**{name: [] for name in GOOD[table]})) == 0


@pytest.mark.parametrize(("table", "name"), CASES)
def test_another_shape_is_refused(table, name):
    full = GOOD[table][name]
    for values in (full[0], [*full, full[0]], [[value] for value in full], [[full[0]], full]):
        with pytest.raises(ValueError, match=rf"{table.__name__}\.\w+ (has shape|is no table)"):
            build(table, **{name: values})


@pytest.mark.parametrize(("table", "name"), [case for case in CASES if case[1] in WHOLE])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.7, "is 1.7, expected a whole number"),
        (np.nan, "is nan, expected a whole number"),
        (np.inf, "is inf, expected -?[0-9]+ to [0-9]+"),
        (1e30, r"is 1e\+30, expected -?[0-9]+ to [0-9]+"),
        (2.0**63, "expected -?[0-9]+ to [0-9]+"),
        (2**63, "expected -?[0-9]+ to [0-9]+"),
        (2**70, "expected -?[0-9]+ to [0-9]+"),
        (None, "is None, expected a whole number"),
    ],
)
def test_what_is_no_whole_number_or_does_not_fit_is_refused(table, name, value, said):
    values = [GOOD[table][name][0], value]
    with pytest.raises(ValueError, match=rf"{table.__name__}\.{name} row 1 .*{said}"):
        build(table, **{name: values})


@pytest.mark.parametrize("table", [Regions, Spans, Votes, Findings])
def test_a_label_does_not_wrap_into_another(table):
    for label in ([0, 2**32 + 1], np.array([0, 2**32 + 1], np.uint64), [0.0, 2.0**31]):
        with pytest.raises(ValueError, match=r"label row 1 .*expected -1 to 2147483647"):
            build(table, label=label)
    with pytest.raises(ValueError, match=r"label row 1 .*is -2, expected -1 to"):
        build(table, label=[0, -2])


def test_ids_of_votes_do_not_wrap_their_labels():
    with pytest.raises(ValueError, match=r"Votes\.label row 1 is 4294967297"):
        Votes.from_ids(["a", "b"], ["eve", "eve"], [0, 2**32 + 1])
    assert Votes.from_ids(["a", "b"], ["eve", "eve"], [0, 1])[0].label.dtype == np.int32


@pytest.mark.parametrize("table", [Regions, Spans, Keypoints, Findings])
def test_scores_are_fractions(table):
    for score, shown in ((1.5, "1.5"), (-1e-3, "-0.001"), (np.nan, "nan"), (1e300, r"1e\+300")):
        said = rf"score row 1 \(task 8\) is {shown}, expected 0..1"
        with pytest.raises(ValueError, match=said):
            build(table, score=[0.5, score])
    with pytest.raises(ValueError, match=r"score row 1 \(task 8\) is None, expected 0..1"):
        build(table, score=[0.5, None])


def test_boxes_are_four_finite_numbers_the_right_way_round():
    for box in (np.zeros((4, 2)), np.zeros(8), np.zeros((2, 5)), np.zeros((1, 2, 4))):
        with pytest.raises(ValueError, match=r"Regions\.box has shape .*, expected \(2, 4\)"):
            build(Regions, box=box)
    for last, said in (
        ([0, np.nan, 1, 1], "expected finite"),
        ([0, 0, 1e300, 1], "expected finite"),
        ([2, 0, 1, 1], "expected x0 <= x1 and y0 <= y1"),
    ):
        with pytest.raises(ValueError, match=rf"Regions\.box row 1 \(task 8\) is \[.*{said}"):
            build(Regions, box=[[0, 0, 1, 1], last])


def test_kinds_of_findings_are_known_ones_in_full():
    for kind in ("disagreements", "", 3):
        with pytest.raises(ValueError, match=rf"Findings\.kind row 1 is '{kind}', expected one of"):
            build(Findings, kind=np.array(["missing", kind], dtype=object))


def test_other_things_than_numbers_are_refused():
    for values in (["a", "b"], [True, False], [1j, 2], np.array([1, 2], "datetime64[s]")):
        with pytest.raises(ValueError, match=r"column row 0 is .*, expected a whole number"):
            columns.whole("column", values, np.int64)
        with pytest.raises(ValueError, match=r"column row 0 is .*, expected finite"):
            columns.numbers("column", values)
    with pytest.raises(ValueError, match=r"column row 1 is True"):
        columns.whole("column", np.array([1, True], dtype=object), np.int64)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)), st.sampled_from(["i8", "f8", "O", ">i4"]))
def test_whole_numbers_arrive_as_they_are(values, kind):
    column = columns.whole("column", np.array(values, dtype=kind), np.int32)
    assert column.dtype == np.int32
    assert column.tolist() == values


@given(st.lists(st.floats(0, 1, width=32)))
def test_fractions_arrive_as_they_are(values):
    column = columns.fractions("column", values)
    assert column.dtype == np.float32
    assert column.tolist() == values
