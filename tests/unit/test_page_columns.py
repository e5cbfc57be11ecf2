"""What the review page shows, out of columns: points, search, rings."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from analysis.findings import KINDS
from analysis.geometry.masks import Masks
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.tasks.tags import SEPARATOR
from ml_backend.outlines import Outlines
from ml_backend.storage.labels import form_of
from ml_backend.storage.page_columns import FOUND, TASKS, PageColumns
from ml_backend.storage.plane import Plane
from ml_backend.storage.standing import Standing
from ml_backend.storage.tables import Tables
from ml_backend.web import points
from ml_backend.web.rings import drawable

CONFIG = parse_config(
    '<View><Image name="i" value="$image"/><RectangleLabels name="box" toName="i">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)
(BOX,) = CONFIG.controls
NAN = float("nan")


def task(number, **said):
    row = {
        **{"task": number, "flag": "", "hand": "", "tags": "", "updated": 100.0},
        **{"source_keys": "image", "sources": "", "text_keys": "", "text": ""},
        **{"unit": [], "by": [], "region_tags": []},
    }
    return row | said


def found(number, **said):
    row = {
        **{"task": number, "control": "box", "form": form_of(BOX), "priority": 0.25},
        **{"kind": "", "reason": ""},
        **{"outlier": NAN, "label": -1, "predicted": -1, "confidence": NAN, "iou": NAN},
        **{"false_positives": 0, "false_negatives": 0},
        **{name: [] for name in FOUND.names if name.startswith("r_")},
    }
    return row | said


@pytest.fixture
def columns(tmp_path):
    columns = PageColumns(Tables(str(tmp_path)))
    tasks = [
        task(9, flag="needs-review", unit=[40, 41], by=[5, 6], tags="late\nodd"),
        task(4, text="50% off_season", sources="/data/upload/Cat-Höhle-猫.png"),
        task(7, region_tags=[SEPARATOR.join(("box", "1", "twin"))], unit=[30], by=[-1]),
    ]
    two = {
        **{"r_unit": [30, 30], "r_place": ["0,0,10,10", "5,5,9,9"], "r_label": [1, -1]},
        **{"r_predicted": [0, -1], "r_confidence": [0.75, NAN], "r_iou": [0.5, NAN]},
        **{"r_kind": [0, -1], "r_priority": [0.9, 0.0]},
    }
    rows = [
        found(9, kind="missing", label=0, reason="Nothing drawn here"),
        found(4, priority=NAN),
        found(7, kind="mislabelled", false_positives=1, **two),
    ]
    columns.put_tasks(3, pa.Table.from_pylist(tasks, schema=TASKS))
    columns.put_found(3, pa.Table.from_pylist(rows, schema=FOUND))
    return columns


def plane(tasks, regions, x, y):
    return Plane(
        np.array(tasks, dtype=np.int64),
        np.array(regions, dtype=np.str_),
        np.array(x, dtype=np.float32),
        np.array(y, dtype=np.float32),
        np.zeros(len(tasks), dtype=np.int64),
        np.full(len(tasks), 0.5, dtype=np.float32),
    )


def read(table):
    (batch,) = pa.ipc.open_stream(points.stream(table)).iter_batches_with_custom_metadata()
    return pa.Table.from_batches([batch.batch])


def test_inputs_are_points_with_typed_columns(columns):
    at = plane([4, 9], ["", ""], [0, 10], [3, 5])
    table = read(points.inputs(columns, 3, BOX, at, {5: "ann", 6: "bea"}))
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds["task"] == kinds["region"] == "int32"
    assert kinds["x"] == kinds["priority"] == "float"
    assert kinds["updated"] == "double"
    assert kinds["false_positives"] == "uint8"
    coded = "dictionary<values=string, indices=int32, ordered=0>"
    assert {kinds[name] for name in ("label", "kind", "flag", "annotator", "tags")} == {coded}
    said = table.to_pydict()
    assert said["task"] == [4, 7, 9]
    assert said["region"] == [-1, -1, -1]
    # The longer side is scaled to [-1, 1], the other alike.
    np.testing.assert_allclose(said["x"], [-1, NAN, 1], equal_nan=True)
    np.testing.assert_allclose(said["y"], [-0.2, NAN, 0.2], rtol=1e-6, equal_nan=True)
    assert said["label"] == ["", "", "cat"]
    assert said["flag"] == ["", "", "needs-review"]
    assert said["annotator"] == ["", "", "ann\nbea"]
    assert said["tags"] == ["", "", "late\nodd"]
    assert said["kind"] == ["", "mislabelled", "missing"]
    np.testing.assert_equal(said["outlier"], [0.5, NAN, 0.5])


def test_all_who_labelled_a_task_are_named_once_each(columns):
    by = {1: [5, 6, 5], 2: [6, 5], 3: [6], 4: [], 5: [-1, 7], 6: [-1]}
    rows = [task(n, unit=list(range(len(some))), by=some) for n, some in by.items()]
    columns.put_tasks(5, pa.Table.from_pylist(rows, schema=TASKS))
    some = [found(n) for n in [*by, 8]]
    columns.put_found(5, pa.Table.from_pylist(some, schema=FOUND))
    said = read(points.inputs(columns, 5, BOX, None, {5: "bea", 6: "ann"})).to_pydict()
    assert said["annotator"] == ["ann\nbea", "ann\nbea", "ann", "", "7", "", ""]


def test_points_name_the_plane_that_they_lie_in(columns):
    """By it an address tells whether an area that was drawn still means the same points."""

    def named(x, tasks=(4, 9)):
        at = plane(tasks, ["", ""], x, [3, 5])
        return read(points.inputs(columns, 3, BOX, at, {})).schema.metadata[b"plane"]

    assert named([0, 10]) == named([0, 10]) != named([0, 9])
    assert named([0, 10]) != named([0, 10], [9, 4])
    assert read(points.inputs(columns, 3, BOX, None, {})).schema.metadata == {b"plane": b""}
    assert read(points.regions(columns, 3, BOX, None, {})).schema.metadata == {b"plane": b""}


def test_what_lies_far_out_lies_on_the_edge(columns):
    around = np.linspace(0, 2 * np.pi, 1000)
    x, y = np.append(np.cos(around), [50, 0]), np.append(np.sin(around), [0, -80])
    tasks = [4, 9, *range(10, 1008), 7, 5]
    said = read(points.inputs(columns, 3, BOX, plane(tasks, [""] * 1002, x, y), {})).to_pydict()
    by_task = dict(zip(said["task"], zip(said["x"], said["y"], strict=True), strict=True))
    assert by_task[7] == (1.0, pytest.approx(0, abs=0.01))
    assert by_task[4] == (pytest.approx(1 / 1.3, abs=0.01), pytest.approx(0, abs=0.01))


def test_regions_are_points_that_know_their_annotation(columns):
    at = plane([7, 7], ["5,5,9,9", "1,1,2,2"], [0, 1], [0, 0])
    said = read(points.regions(columns, 3, BOX, at, {})).to_pydict()
    assert (said["task"], said["region"]) == ([7, 7], [0, 1])
    np.testing.assert_allclose(said["x"], [NAN, -1], equal_nan=True)
    assert (said["label"], said["predicted"]) == (["dog", ""], ["cat", ""])
    assert said["kind"] == [KINDS[0], ""]
    assert said["tags"] == ["", "twin"]
    assert said["priority"] == [pytest.approx(0.9), 0.0]
    assert said["false_positives"] == [1, 1]


def test_what_was_never_scored_has_no_points(columns):
    assert points.inputs(columns, 4, BOX, None, {}) is None
    assert points.regions(columns, 4, BOX, None, {}) is None


def test_texts_names_tags_and_reasons_are_searched_as_they_are(columns):
    def search(text):
        return columns.search(3, text, 100).tolist()

    assert search("50% OFF_") == [4]
    assert search("cat-") == search("HÖHLE") == search("猫.png") == [4]
    # The keys of data are no file names.
    assert search("image") == []
    assert search("nothing DRAWN") == [9]
    assert search("odd") == [9]
    assert search("5_%") == search("' OR 1=1 --") == search("\\") == []


def test_the_version_changes_with_every_write(columns):
    before = columns.version(3)
    assert columns.version(3) == before
    columns.change(3, {9: {"flag": "confirmed"}})
    assert columns.version(3) != before
    rows = columns.tasks(3, np.array([9, 5]))
    assert rows["flag"].to_pylist() == ["confirmed"]
    assert rows["tags"].to_pylist() == ["late\nodd"]


def test_tasks_that_are_gone_are_forgotten_and_later_ones_kept(columns):
    columns.keep_only(3, Standing(np.array([4, 7]), 7))
    assert columns.tasks(3)["task"].to_pylist() == [4, 7, 9]
    columns.keep_only(3, Standing(np.array([4]), 12))
    assert columns.tasks(3)["task"].to_pylist() == [4]
    assert columns.found(3, BOX)["task"].to_pylist() == [4]


def test_what_was_found_under_other_labels_is_left_out(columns):
    other = replace(BOX, labels=("horse", *BOX.labels))
    assert columns.any_found(3, BOX)
    assert not columns.any_found(3, other)
    assert points.inputs(columns, 3, other, None, {}) is None


def test_outlines_are_drawn_as_rings():
    (box,) = drawable("box", Outlines.of_rows([[1, 2, 3, 4, 0]]))
    assert sorted(map(tuple, box[0])) == [(1, 2), (1, 6), (4, 2), (4, 6)]
    assert drawable("polygon", Outlines.of_rows([[0, 0, 5, 0, 5, 5]])) == [
        [[[0, 0], [5, 0], [5, 5]]]
    ]
    assert drawable("point", Outlines.of_rows([[3, 4, 0]])) == [[3, 4]]
    assert drawable("span", Outlines.of_rows([[3, 9]])) == [[3, 9]]
    assert drawable("choice", Outlines.of_rows([[], []])) == [None, None]


def test_a_mask_with_a_hole_is_two_rings():
    grid = np.zeros((6, 8), dtype=np.uint8)
    grid[1:6, 1:6] = 1
    grid[3, 3] = 0
    flat = np.concatenate([[0], grid.T.reshape(-1), [0]])
    runs = np.flatnonzero(np.diff(flat)).reshape(-1, 2)
    masks = Masks(np.array([0, len(runs)]), runs, np.array([[6, 8]]))
    (rings,) = drawable("mask", Outlines.of_masks(masks))
    assert len(rings) == 2
    assert sorted(map(tuple, rings[0])) == [(1, 1), (1, 5), (5, 1), (5, 5)]
