"""Key points: which belong to one object, and how they are written so that they stay together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.regions.results import decode, encode
from ml_backend.outlines import Outlines
from tests.unit.regions import POINT, box, region


def point(label, name, parent="", x=1.0):
    item = region(POINT, label, {"x": x, "y": 2.0, "width": 0.5}, id=name)
    return item | ({"parentID": parent} if parent else {})


def objects(*items):
    """The object of each point of one annotation."""
    return decode(POINT, [list(items)]).outline.table(3)[:, 2].tolist()


def test_points_of_one_parent_are_one_object():
    person = box() | {"id": "p1"}
    items = [point("a", "1", "p2"), point("a", "2", "p1"), point("b", "3", "p2"), person]
    assert objects(*items) == [0, 1, 0]


def test_a_point_may_be_the_parent():
    items = [point("a", "1"), point("b", "2", "1"), point("a", "3"), point("b", "4", "3")]
    assert objects(*items) == [0, 0, 1, 1]
    # The points of a point that itself hangs on a box.
    items = [point("a", "1", "p1"), point("b", "2", "1"), point("a", "3", "p1")]
    assert objects(*items) == [0, 0, 1]


def test_without_parents_the_nth_of_each_joint_is_of_the_nth_object():
    items = [point("a", "1"), point("b", "2"), point("b", "3"), point("a", "4"), point("b", "5")]
    assert objects(*items) == [0, 0, 1, 1, 2]


def test_no_object_has_a_joint_twice():
    items = [point("a", "1", "p"), point("a", "2", "p"), point("b", "3", "p"), point("a", "4")]
    assert objects(*items) == [0, 1, 0, 2]


def test_each_annotation_is_numbered_for_itself():
    table = decode(POINT, [[point("a", "1"), point("a", "2")], [point("a", "1")]])
    assert table.outline.table(3)[:, 2].tolist() == [0, 1, 0]


@pytest.mark.parametrize("circle", [[("1", "1")], [("1", "2"), ("2", "1")]])
def test_parents_in_a_circle_are_read(circle):
    items = [point("a", name, parent) for name, parent in circle]
    assert len(objects(*items)) == len(circle)


@pytest.mark.parametrize("odd", [None, 1, [], {}, ["p"]])
def test_odd_ids_are_none(odd):
    item = point("a", "1") | {"id": odd, "parentID": odd}
    assert objects(item, point("b", "2")) == [0, 0]


instances = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), unique=True, max_size=10)


@given(instances, st.randoms(use_true_random=False))
def test_objects_survive_writing_and_the_editors_order(rows, random):
    label = np.array([joint for _, joint in rows], dtype=np.int32)
    instance = np.array([number for number, _ in rows], dtype=np.float64)
    xy = np.arange(2 * len(rows), dtype=np.float64).reshape(-1, 2)
    outline = Outlines.of_table(np.column_stack([xy, instance]))
    result = encode(POINT, label, np.ones(len(rows), dtype=np.float32), outline, (100, 100))
    there = {item["id"] for item in result}
    assert len(there) == len(rows)
    # No point hangs on a region that is not there.
    assert {item["parentID"] for item in result if "parentID" in item} <= there
    shuffled = random.sample(result, len(result))
    table = decode(POINT, [shuffled])
    found = dict(zip(table.outline.table(3)[:, 0], table.outline.table(3)[:, 2], strict=True))
    # Points that stand alone in their object may be put together: nothing tells them apart.
    for row, number in enumerate(instance):
        for other, same in enumerate(instance):
            if number == same:
                assert found[xy[row, 0]] == found[xy[other, 0]]
            elif (instance == number).sum() > 1:
                assert found[xy[row, 0]] != found[xy[other, 0]]
