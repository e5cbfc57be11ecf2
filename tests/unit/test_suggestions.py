import copy

import numpy as np
import pytest

from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.regions.suggestions import Fix, suggest
from ml_backend.outlines import Outlines

LABEL, CHOICE, TAGS = parse_config(
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
    '<Label value="a"/><Label value="b"/></RectangleLabels>'
    '<Choices name="c" toName="image"><Choice value="x"/><Choice value="y"/></Choices>'
    '<Choices name="t" toName="image" choice="multiple"><Choice value="x"/><Choice value="y"/>'
    "</Choices></View>"
).controls
SIZE = (200, 100)


def region(name: str, label: str = "a") -> dict:
    value = {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0}
    return {
        "id": name,
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "value": value | {"rectanglelabels": [label]},
    }


NOTE = {"id": "r1", "from_name": "note", "type": "textarea", "value": {"text": ["smudged"]}}
HUMAN = [region("r1"), NOTE, region("r2", "b")]


def fix(action: str, item: int = -1, label: int = -1, box=None, control=LABEL) -> Fix:
    x0, y0, x1, y1 = box or (0, 0, 0, 0)
    outline = Outlines.of_table(np.array([[x0, y0, x1 - x0, y1 - y0, 0.0]])) if box else None
    return Fix(control, action, item, label, outline, 0.9, SIZE)


@pytest.fixture(autouse=True)
def _the_persons_regions_stay_untouched():
    before = copy.deepcopy(HUMAN)
    yield
    assert before == HUMAN


def test_relabel_changes_one_label():
    assert suggest(HUMAN, [fix("relabel", 0, 1)]) == [region("r1", "b"), NOTE, HUMAN[2]]


def test_add_appends_a_region():
    *kept, added = suggest(HUMAN, [fix("add", label=1, box=[20, 10, 60, 50])])
    assert kept == HUMAN
    value = {"x": 10, "y": 10, "width": 20, "height": 40, "rotation": 0, "rectanglelabels": ["b"]}
    assert added["value"] == value
    assert added["score"] == 0.9


def test_remove_takes_what_hangs_on_the_region_with_it():
    assert suggest(HUMAN, [fix("remove", 0)]) == [HUMAN[2]]


def test_redraw_moves_the_box_and_keeps_the_label():
    _, _, drawn = suggest(HUMAN, [fix("redraw", 2, 1, [0, 0, 100, 50])])
    value = {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["b"]}
    assert drawn["value"] == value


def test_a_choice_is_replaced():
    given = [{"id": "q", "from_name": "c", "type": "choices", "value": {"choices": ["x"]}}]
    (changed,) = suggest(given, [fix("relabel", 0, 1, control=CHOICE)])
    assert changed["value"] == {"choices": ["y"]}


def test_several_fixes_at_once():
    fixes = [fix("remove", 0), fix("relabel", 2, 0), fix("add", label=0, box=[0, 0, 9, 9])]
    labels = [item["value"]["rectanglelabels"] for item in suggest(HUMAN, fixes)]
    assert labels == [["a"], ["a"]]


def test_regions_without_an_id_are_told_apart():
    given = [region("") | {"id": ""}, region("", "b") | {"id": ""}]
    assert suggest(given, [fix("remove", 0)]) == [given[1]]
    assert suggest(given, [fix("relabel", 1, 0)])[0] == given[0]


def chosen(*names: str) -> dict:
    value = {"choices": list(names)}
    return {"from_name": "t", "to_name": "image", "type": "choices", "value": value}


def test_of_several_choices_one_comes_or_goes_and_the_others_stay():
    added = suggest([chosen("x"), NOTE], [fix("add", 0, 1, control=TAGS)])
    assert added == [chosen("x", "y"), NOTE]
    assert suggest([chosen("x", "y")], [fix("remove", 0, 0, control=TAGS)]) == [chosen("y")]
    assert suggest([chosen("x"), NOTE], [fix("remove", 0, 0, control=TAGS)]) == [NOTE]
