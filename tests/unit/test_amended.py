"""What people changed, in words."""

from __future__ import annotations

import numpy as np

from ml_backend.outlines import Outlines
from ml_backend.scoring.amended import amended, as_reason
from ml_backend.storage.store import StoredLabels
from tests.unit.test_scoring import control


def labels(*rows):
    """Labels of (task, annotation, label, outline); an annotation without regions has no label."""
    unit, first = np.unique([row[1] for row in rows], return_index=True)
    drawn = [row for row in rows if len(row) > 2]
    none = np.zeros(0, dtype=np.int64)
    return StoredLabels(
        task=np.array([rows[at][0] for at in first], dtype=np.int64),
        unit=unit.astype(np.int64),
        region_unit=np.array([row[1] for row in drawn], dtype=np.int64),
        label=np.array([row[2] for row in drawn], dtype=np.int32),
        outline=Outlines.of_rows([row[3] for row in drawn]),
        held_task=none,
        held=none,
        approved=np.zeros(len(unit), dtype=np.bool_),
        size=np.zeros((len(unit), 2), dtype=np.int32),
    )


HERE, MOVED, FAR = (50, 40, 100, 80, 0), (80, 60, 100, 80, 0), (300, 200, 20, 20, 0)


def test_a_class_a_place_what_came_and_what_went_are_named():
    boxes = control("RectangleLabels")
    old = labels((7, 1, 0, HERE), (8, 2, 1, HERE), (9, 3, 2, HERE))
    new = labels((7, 1, 1, HERE), (7, 1, 2, FAR), (8, 2, 1, MOVED), (9, 3))
    said = amended(boxes, old, new)
    assert said == {7: ["a became b", "c added"], 8: ["b redrawn"], 9: ["c removed"]}
    assert as_reason("corrected", [said, {7: ["x", "y"]}])[7] == (
        "corrected: a became b, c added, x, and 1 more"
    )
    assert amended(boxes, old, old) == {}


def test_an_answer_is_held_against_the_label_that_it_took_the_place_of():
    choice = control("Choices")
    assert amended(choice, labels((7, 1, 0, [])), labels((7, 5, 2, []))) == {7: ["a became c"]}
    # Of what was never looked at nothing can be said.
    assert amended(choice, labels((6, 1, 0, [])), labels((7, 5, 2, []))) == {}


def test_a_key_point_that_moved_a_little_stays_the_same_thing():
    points = control("KeyPointLabels")
    old, across, down = (labels((7, 1, 0, (x, y, 0))) for x, y in ((50, 40), (54, 40), (50, 48)))
    for one in (old, across, down):
        one.size[:] = 400, 100
    assert amended(points, old, across) == {7: ["a redrawn"]}
    # As far as people count as of one mind, too: so many per cent of each side.
    assert amended(points, old, down) == {7: ["a added", "a removed"]}
