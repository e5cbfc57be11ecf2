import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import detection
from analysis.geometry.matching import box_iou, overlapping_pairs
from analysis.geometry.shapes import Masks, Polygons, iou, rasterise
from analysis.regions import Regions

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4]]
DIAMOND = [[2, 0], [4, 2], [2, 4], [0, 2]]
BOW = [[0, 0], [4, 4], [4, 0], [0, 4]]
ZERO = np.zeros(1, dtype=np.int64)


def one(first, second, least=0.0):
    mine = first if isinstance(first, Masks) else Polygons.from_lists([first])
    theirs = second if isinstance(second, Masks) else Polygons.from_lists([second])
    return float(iou(mine, theirs, ZERO, ZERO, least)[0])


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (SQUARE, SQUARE, 1),
        (SQUARE, DIAMOND, 0.5),
        (SQUARE, SQUARE[::-1], 1),
        (SQUARE, [[4, 0], [8, 0], [8, 4]], 0),
        (SQUARE, [[2, 0], [6, 0], [6, 4], [2, 4]], 1 / 3),
        # A ring that crosses itself covers both of its loops.
        (SQUARE, BOW, 0.5),
        (BOW, BOW, 1),
        # What has no area overlaps nothing, not even itself.
        (SQUARE, [[0, 0], [4, 4]], 0),
        (SQUARE, [[0, 0], [2, 2], [4, 4]], 0),
        ([[1, 1]], [[1, 1]], 0),
        ([], SQUARE, 0),
        ([[1, 1], [1, 1], [1, 1]], SQUARE, 0),
    ],
)
def test_iou_by_hand(first, second, wanted):
    assert one(first, second) == pytest.approx(wanted)


def test_masks_overlap_as_in_pycocotools():
    # pycocotools.mask.iou of the three images.
    images = np.zeros((3, 6, 8), dtype=bool)
    images[0, 1:4, 1:5] = True
    images[1, 2:6, 3:8] = True
    images[1, 4, 5] = False
    images[2, :, :3] = True
    images[2, 0, 7] = True
    masks = Masks.from_dense(images)
    first, second = (rows.ravel() for rows in np.mgrid[:3, :3])
    wanted = [1, 0.14814814814814814, 0.24, 0.14814814814814814, 1, 0, 0.24, 0, 1]
    np.testing.assert_allclose(iou(masks, masks, first, second), wanted, rtol=1e-6)


def test_a_polygon_beside_a_mask_is_rasterised():
    mask = Masks.from_dense([np.ones((4, 8))])
    assert one(mask, SQUARE) == pytest.approx(0.5)
    assert one(SQUARE, mask) == pytest.approx(0.5)
    # The centres of 8 pixels lie inside the diamond or on its upper left edges.
    assert one(DIAMOND, mask) == pytest.approx(8 / 32)


def test_label_studio_turns_a_box_clockwise_about_its_top_left_corner():
    turned = Polygons.from_rotated(np.array([[10, 20, 6, 2, 0], [10, 20, 6, 2, 90.0]]))
    np.testing.assert_allclose(
        turned.xy.reshape(2, 4, 2),
        [[[10, 20], [16, 20], [16, 22], [10, 22]], [[10, 20], [10, 26], [8, 26], [8, 20]]],
        atol=1e-5,
    )


def test_ultralytics_turns_a_box_about_its_centre():
    # ultralytics.utils.ops.xywhr2xyxyxyxy of this box; it begins at the third of our corners.
    turned = Polygons.from_xywhr(np.array([[10, 20, 6, 2, 0.5]]))
    wanted = [
        [12.153322147066916, 22.315859177702983],
        [13.11217322427532, 20.560694053922234],
        [7.846677852933085, 17.684140822297017],
        [6.887826775724679, 19.439305946077766],
    ]
    np.testing.assert_allclose(turned.xy[[2, 1, 0, 3]], wanted, rtol=1e-6)


def test_polygons_go_with_the_boxes_around_them():
    some = Polygons.from_lists([DIAMOND, [], [[1, 1], [1, 5], [1, 3]]])
    fitted = some.fitted(np.array([[10, 10, 14, 18], [1, 1, 2, 2], [7, 0, 9, 8.0]]))
    assert fitted.xy.tolist() == [[12, 10], [14, 14], [12, 18], [10, 14], [7, 0], [7, 8], [7, 4]]


@pytest.mark.parametrize("angle", [0, 30, 90, -45, 720])
def test_turning_keeps_the_area(angle):
    turned = Polygons.from_rotated(np.array([[50, 50, 8, 3, angle]], dtype=float))
    assert turned.area()[0] == pytest.approx(24, rel=1e-4)


def test_a_turned_box_overlaps_as_the_shape_does():
    # A square in a square turned by 45 degrees about the same centre: an octagon.
    upright = Polygons.from_xywhr(np.array([[50, 50, 10, 10, 0]], dtype=float))
    turned = Polygons.from_xywhr(np.array([[50, 50, 10, 10, np.pi / 4]]))
    octagon = 200 * (np.sqrt(2) - 1)
    wanted = octagon / (200 - octagon)
    assert iou(upright, turned, ZERO, ZERO)[0] == pytest.approx(wanted, rel=1e-4)


def regions(*corners, label=0, score=None):
    count = len(corners)
    return Regions.from_shapes(
        np.zeros(count),
        np.full(count, label),
        Polygons.from_lists(corners),
        None if score is None else np.full(count, score),
    )


def test_regions_take_their_boxes_from_shapes():
    table = regions(SQUARE, DIAMOND, [])
    assert table.box.tolist() == [[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 0, 0]]
    chosen = table.take(np.array([1]))
    assert chosen.shape is not None
    assert chosen.shape.xy.tolist() == DIAMOND


def test_pairs_are_of_shapes_where_both_sides_have_them():
    exact = overlapping_pairs(regions(SQUARE), regions(DIAMOND))
    assert exact.iou.tolist() == pytest.approx([0.5])
    boxes = Regions(np.zeros(1), np.zeros(1), np.array([[0, 0, 4, 4]]))
    assert overlapping_pairs(regions(DIAMOND), boxes).iou.tolist() == [1]
    assert len(overlapping_pairs(regions(SQUARE), regions(DIAMOND), 0.5)) == 0
    corners = [[0, 0], [1, 0], [0, 1]], [[4, 4], [3, 4], [4, 3]]
    assert len(overlapping_pairs(regions(*corners), regions(*corners))) == 2


def test_findings_come_from_the_exact_shapes():
    some = regions(DIAMOND)
    trust = detection.fit(some, regions(DIAMOND, score=0.9), num_classes=1)

    def worst(model):
        found = detection.find(some, model, num_classes=1, calibration=trust, floor=0)
        return float(detection.task_scores(found, np.array([0]))[0])

    boxes = Regions(some.task, some.label, some.box)
    model = regions(SQUARE, score=0.9)
    apart = worst(model)
    assert apart > 3 * worst(regions(DIAMOND, score=0.9))
    # By their bounding boxes alone the two are the same.
    some = boxes
    assert worst(model) < apart / 3


def test_shapes_are_rehearsed_on_as_boxes_are():
    random = np.random.default_rng(0)
    low = np.tile(np.arange(5) * 100.0, 60)[:, None] + random.uniform(0, 40, (300, 2))
    box = np.concatenate([low, low + random.uniform(20, 50, (300, 2))], axis=1)
    task, label = np.repeat(np.arange(60), 5), random.integers(4, size=300)
    drawn = box.copy()
    drawn[:12] += 15

    def worst(as_drawn):
        people = Regions(task, label, drawn)
        model = Regions(task, label, box + random.normal(0, 1, box.shape), np.full(300, 0.9))
        found = detection.find(as_drawn(people), as_drawn(model), num_classes=4, floor=0)
        return detection.task_scores(found, np.arange(60))

    def polygons(table):
        x0, y0, x1, y1 = table.box.T
        rings = np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)
        shape = Polygons.from_lists(list(rings))
        return Regions.from_shapes(table.task, table.label, shape, table.score)

    def masks(table):
        shape = rasterise(polygons(table).shape, np.arange(300), np.tile([120, 520], (300, 1)))
        return Regions.from_shapes(table.task, table.label, shape, table.score)

    for exact in (lambda table: table, polygons, masks):
        random = np.random.default_rng(1)
        score = worst(exact)
        assert score[:3].min() > 0.5
        assert (score[3:] > 0.1).mean() < 0.1


corner = st.integers(0, 12)
rings = st.lists(st.tuples(corner, corner), min_size=0, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(rings, max_size=6), st.lists(rings, max_size=6), st.sampled_from([0.0, 0.3, 0.7]))
def test_ruling_pairs_out_loses_none(first, second, least):
    mine, theirs = Polygons.from_lists(first), Polygons.from_lists(second)
    a, b = (rows.ravel() for rows in np.mgrid[: len(first), : len(second)])
    exact, quick = iou(mine, theirs, a, b), iou(mine, theirs, a, b, least)
    assert ((exact >= 0) & (exact <= 1)).all()
    np.testing.assert_array_equal(exact > least, quick > least)
    np.testing.assert_allclose(iou(theirs, mine, b, a), exact, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(corner, corner, corner, corner), min_size=1, max_size=6))
def test_upright_polygons_and_masks_overlap_as_boxes(rows):
    box = np.array([[min(x, u), min(y, v), max(x, u), max(y, v)] for x, y, u, v in rows])
    sides = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2], np.zeros((len(box), 1))], axis=1)
    polygons = Polygons.from_rotated(sides)
    a, b = (rows.ravel() for rows in np.mgrid[: len(box), : len(box)])
    wanted = box_iou(box[a].astype(np.float32), box[b].astype(np.float32))
    # Without area shapes overlap nothing, themselves included; a box is equal to itself.
    wanted[(sides[a, 2:4] == 0).any(axis=1)] = 0
    np.testing.assert_allclose(iou(polygons, polygons, a, b), wanted, atol=1e-5)
    masks = rasterise(polygons, np.arange(len(box)), np.tile([12, 12], (len(box), 1)))
    np.testing.assert_allclose(iou(masks, masks, a, b), wanted, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 12)), min_size=3, max_size=6))
def test_a_pixel_is_inside_if_the_ring_crosses_an_odd_number_of_times(ring):
    mask = rasterise(Polygons.from_lists([ring]), np.zeros(1, int), np.array([[9, 8]])).dense(0)
    xy = np.array(ring, dtype=np.float32).astype(float)
    ends = np.roll(xy, -1, axis=0)
    for y in range(9):
        for x in range(8):
            crossed = (xy[:, 0] > x + 0.5) != (ends[:, 0] > x + 0.5)
            start, end = xy[crossed], ends[crossed]
            at = start[:, 1] + (x + 0.5 - start[:, 0]) / (end[:, 0] - start[:, 0]) * (
                end[:, 1] - start[:, 1]
            )
            if (np.abs(at - y - 0.5) > 1e-9).all() and (np.abs(xy[:, 0] - x - 0.5) > 0).all():
                assert mask[y, x] == ((at < y + 0.5).sum() % 2 == 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Polygons.from_lists([SQUARE, [[0, np.nan], [1, 1]]]), "xy row 4 .region 1."),
        (lambda: Polygons.from_rotated(np.ones((1, 4))), r"shape \(1, 4\), expected \(R, 5\)"),
        (lambda: Polygons.from_rotated(np.array([[0, 0, -1, 1, 0]])), "boxes row 0 is -1.0 wide"),
        (lambda: Polygons([0, 1], np.empty((0, 2))), "offsets must run from 0 to 0"),
        (
            lambda: Regions(ZERO, ZERO, np.zeros((1, 4)), None, Polygons.from_lists([])),
            "shape has 0 rows, expected 1",
        ),
    ],
)
def test_wrong_columns_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_nothing_overlaps_nothing():
    none = Polygons.from_lists([])
    nowhere = np.empty(0, dtype=np.int64)
    assert none.boxes().shape == (0, 4)
    assert len(iou(none, none, nowhere, nowhere)) == 0
    assert len(iou(none, Masks.from_dense([]), nowhere, nowhere)) == 0
    assert len(rasterise(none, nowhere, np.empty((0, 2), dtype=np.int64))) == 0


def test_a_scribble_covers_its_hull_and_takes_no_time():
    random = np.random.default_rng(0)
    scribble = Polygons.from_lists([random.uniform(0, 100, (5000, 2))])
    (area,) = scribble.area()
    assert 9500 < area <= 10000
