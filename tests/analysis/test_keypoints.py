import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import keypoints
from analysis.geometry import keypoint_matching
from analysis.keypoints import COCO_SIGMAS, DEFAULT_SIGMA, Keypoints

# A square of 100 by 100 pixels: area 5300 of the box's 10000, s k = 72.8 x 0.132 = 9.6 pixels.
SQUARE = {0: (0, 0), 1: (100, 0), 2: (0, 100), 3: (100, 100)}
TRUST = keypoints.Calibration(np.full(4, 0.8, dtype=np.float32))


def people(*rows, area=None) -> Keypoints:
    """Rows of (task, instance, joint, (x, y))."""
    return Keypoints(
        *(np.array([row[column] for row in rows], dtype=int) for column in range(3)),
        *(np.array([row[3][axis] for row in rows], dtype=float) for axis in range(2)),
        area=None if area is None else np.full(len(rows), area),
    )


def model(*rows) -> Keypoints:
    """Rows of (task, instance, joint, (x, y), score)."""
    table = people(*rows)
    score = np.array([row[4] for row in rows], dtype=float)
    return Keypoints(table.task, table.instance, table.index, table.x, table.y, score)


def body(instance=0, task=1, shift=0, **other):
    """One instance's rows, its joints at the corners unless ``other`` says where."""
    places = SQUARE | {int(name[1:]): place for name, place in other.items()}
    return [
        (task, instance, joint, (place[0] + shift, place[1]))
        for joint, place in places.items()
        if place is not None
    ]


def sure(rows, score=0.9):
    return [(*row, score) for row in rows]


def find(annotations, predictions, **options) -> list[tuple]:
    options = {"joints": 4, "calibration": TRUST} | options
    found = keypoints.find(annotations, predictions, **options)
    return [
        (int(task), str(kind), int(annotation), int(prediction), round(float(score), 2), int(label))
        for task, kind, annotation, prediction, score, label in zip(
            *(found.task, found.kind, found.annotation, found.prediction),
            *(found.score, found.label),
            strict=True,
        )
    ]


def test_agreement_finds_nothing():
    assert find(people(*body()), model(*sure(body()))) == []


def test_a_joint_only_the_model_has_is_missing():
    found = find(people(*body(j3=None)), model(*sure(body())))
    assert found == [(1, "missing", -1, 3, 0.9, 3)]


def test_a_joint_the_model_does_not_see_is_spurious():
    assert find(people(*body()), model(*sure(body(j3=None)))) == [(1, "spurious", 3, -1, 0.8, -1)]


def test_a_joint_right_where_the_model_has_it_is_not_in_doubt_however_faint():
    faint = sure(body())[:3] + sure(body(), 0.1)[3:]
    assert find(people(*body()), model(*faint)) == []


def test_a_joint_far_off_where_the_model_hardly_has_it_is_spurious_as_far_as_it_doubts():
    faint = sure(body())[:3] + sure(body(), 0.25)[3:]
    found = find(people(*body(j3=(100, 60))), model(*faint))
    assert found[0] == (1, "spurious", 3, -1, 0.6, -1)


def test_a_point_far_off_is_badly_drawn_by_the_oks_of_one_point():
    found = find(people(*body(j3=(100, 90))), model(*sure(body())))
    spread = 2 * 5300 * (2 * DEFAULT_SIGMA) ** 2
    score = 0.9 * (1 - np.exp(-100 / spread))
    assert found == [(1, "badly_drawn", 3, 3, pytest.approx(score, abs=0.01), 3)]


def test_left_and_right_exchanged_are_mislabelled():
    found = find(people(*body(j0=(100, 0), j1=(0, 0))), model(*sure(body())))
    assert sorted(found) == [(1, "mislabelled", 0, 1, 0.9, 1), (1, "mislabelled", 1, 0, 0.9, 0)]


def test_all_joints_exchanged_are_still_the_same_instance():
    turned = body(j0=(100, 0), j1=(0, 0), j2=(100, 100), j3=(0, 100))
    found = find(people(*turned), model(*sure(body())))
    assert {row[1] for row in found} == {"mislabelled"}
    assert sorted((row[2], row[5]) for row in found) == [(0, 1), (1, 0), (2, 3), (3, 2)]


def test_joints_exchanged_between_two_instances_are_mislabelled():
    one, two = body(0, j0=(30, 0)), body(1, shift=30, j0=(-30, 0))
    found = find(people(*one, *two), model(*sure(body(0)), *sure(body(1, shift=30))))
    assert sorted(row[1:] for row in found) == [
        ("mislabelled", 0, 4, 0.89, 0),
        ("mislabelled", 4, 0, 0.88, 0),
    ]


def test_a_joint_under_a_wrong_name_is_found_once():
    named = [row for row in body() if row[2] != 3]
    named[1] = (1, 0, 3, (100, 0))
    found = find(people(*named), model(*sure(body())))
    assert found[0] == (1, "mislabelled", 1, 1, 0.9, 1)
    assert found[1:] == []


def test_an_instance_only_the_model_has_is_missing_joint_by_joint():
    found = find(people(*body()), model(*sure(body()), *sure(body(1, shift=500), 0.7)))
    assert [row[1:5] for row in found] == [("missing", -1, row, 0.7) for row in range(4, 8)]


def test_an_instance_only_people_have_is_spurious_joint_by_joint():
    found = find(people(*body(), *body(1, shift=500)), model(*sure(body())))
    assert [row[1:5] for row in found] == [("spurious", row, -1, 0.8) for row in range(4, 8)]


def test_a_second_prediction_of_one_instance_is_not_missing():
    assert find(people(*body()), model(*sure(body()), *sure(body(1)))) == []


def test_tasks_do_not_mix():
    human = people(*body(task=1), *body(task=2, shift=500))
    assert find(human, model(*sure(body(task=2, shift=500)), *sure(body(task=1)))) == []


def test_a_joint_the_model_does_not_know_is_passed_over():
    assert find(people((1, 0, -1, (0, 0)), (1, 0, -1, (5, 5))), model()) == []
    assert find(people(), model((1, 0, -1, (0, 0), 0.9))) == []


def test_nothing_gives_nothing():
    assert find(people(), model()) == []
    np.testing.assert_allclose(keypoints.fit(people(), model(), joints=2).recall, 0.7)


def test_points_without_an_area_are_alike_at_the_very_place_only():
    point = (1, 0, 0, (5, 5))
    assert find(people(point), model((*point, 0.95))) == []
    assert find(people(point), model((1, 0, 0, (6, 5), 0.95))) != []
    assert find(people(point, area=400), model((1, 0, 0, (6, 5), 0.95))) == []


def test_ten_thousand_points_of_one_task(monkeypatch):
    monkeypatch.setattr(keypoint_matching, "_BLOCK", 1 << 14)
    at = np.arange(10_000)
    place = [(at % 100) * 50.0, (at // 100) * 50.0]
    human = Keypoints(np.zeros(10_000), at, np.zeros(10_000), *place, area=np.full(10_000, 100.0))
    machine = Keypoints(
        *(np.zeros(10_000), at, np.zeros(10_000), *place), np.ones(10_000), np.full(10_000, 100.0)
    )
    assert len(keypoints.find(human, machine, joints=1)) == 0


def test_a_crowd_is_the_same_in_blocks_of_any_size(monkeypatch):
    random = np.random.default_rng(0)
    rows = [
        (1, number, joint, tuple(corner + random.normal(0, 15, 2)))
        for number, corner in enumerate(random.uniform(0, 150, (30, 2)))
        for joint in range(int(random.integers(1, 5)))
    ]
    seen = [(*row[:3], tuple(row[3] + random.normal(0, 5, 2)), random.random()) for row in rows]
    found = []
    for block in (1 << 20, 1 << 10, 7):
        monkeypatch.setattr(keypoint_matching, "_BLOCK", block)
        found.append(find(people(*rows), model(*seen), floor=0))
    assert found[0] == found[1] == found[2]
    assert {row[1] for row in found[0]} >= {"badly_drawn", "mislabelled"}


def test_recall_is_learnt_per_joint():
    human = people(*[(task, 0, joint, SQUARE[joint]) for task in range(40) for joint in range(4)])
    seen = [(task, 0, joint, SQUARE[joint], 0.9) for task in range(40) for joint in range(3)]
    recall = keypoints.fit(human, model(*seen), joints=4).recall
    np.testing.assert_allclose(recall, [47 / 50] * 3 + [7 / 50], atol=1e-6)
    again = keypoints.Calibration.from_arrays(keypoints.Calibration(recall).to_arrays())
    np.testing.assert_array_equal(again.recall, recall)


def test_oks_is_cocos():
    # By pycocotools 2.0.11, COCOeval.computeOks: area 3000, the last two joints not annotated.
    annotated = np.array(
        [
            *([62.5, 89.7], [77.6, 22.5], [30.0, 87.4], [0.5, 82.1], [79.7, 46.8], [30.3, 27.8]),
            *([25.5, 44.5], [50.5, 55.3], [99.6, 79.3], [62.2, 98.9], [21.5, 16.0], [61.3, 4.4]),
            *([3.6, 51.5], [46.6, 91.7], [62.9, 51.4], [np.nan] * 2, [np.nan] * 2),
        ]
    )
    predicted = np.array(
        [
            *([59.3, 93.9], [74.4, 22.4], [33.5, 85.1], [0.1, 82.5], [80.0, 41.9], [30.6, 33.2]),
            *([19.3, 47.9], [51.0, 52.7], [107.6, 82.3], [57.4, 99.2], [23.8, 15.2], [64.0, 4.1]),
            *([6.3, 57.3], [43.9, 92.5], [61.0, 51.9], [45.0, 22.5], [0.4, 22.8]),
        ]
    )
    score = keypoints.oks(annotated[None], predicted[None], np.array([3000.0]), COCO_SIGMAS)
    assert score[0] == pytest.approx(0.73013812, abs=1e-6)


def test_oks_of_no_joint_is_zero_and_of_a_joint_not_predicted_too():
    nothing, here = np.full((1, 1, 2), np.nan), np.zeros((1, 1, 2))
    area = np.array([100.0])
    assert keypoints.oks(nothing, here, area, [0.1])[0] == 0
    assert keypoints.oks(here, nothing, area, [0.1])[0] == 0
    assert keypoints.oks(here, here, area, [0.1])[0] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"joints": 5}, "calibration is of 4 joints, expected 5"),
        ({"joints": 3, "calibration": None}, "annotations.index row 3 .task 1. is 3"),
        ({"sigmas": [0.1]}, "sigmas are .0.1., expected 4 numbers above 0"),
        ({"sigmas": [0.1, 0.1, 0, 0.1]}, "expected 4 numbers above 0"),
    ],
)
def test_wrong_input_is_named(options, said):
    with pytest.raises(ValueError, match=said):
        find(people(*body()), model(*sure(body())), **options)
    with pytest.raises(ValueError, match=r"predictions\.score is None"):
        find(people(*body()), people(*body()))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(1, 0, 0, (np.nan, 0), 0.5)], "x row 0 .task 1. is nan"),
        ([(1, 0, 0, (0, np.inf), 0.5)], "y row 0 .task 1. is inf"),
        ([(1, 0, -2, (0, 0), 0.5)], "index row 0 .task 1. is -2"),
        ([(1, 0, 0, (0, 0), 1.5)], "score row 0 .task 1. is 1.5"),
        ([(1, 0, 0, (0, 0), 0.5), (1, 0, 0, (1, 0), 0.5)], "index row 1 .* each joint once"),
    ],
)
def test_wrong_columns_are_named(rows, said):
    with pytest.raises(ValueError, match=said):
        model(*rows)


place = st.tuples(st.integers(0, 60), st.integers(0, 60))
instance = st.tuples(
    st.integers(0, 2),
    st.dictionaries(st.integers(-1, 3), place, min_size=1),
    st.floats(0, 1, width=32),
)
scenes = st.lists(instance, max_size=5)


def points(scene):
    return [
        (task, number, joint, where, score)
        for number, (task, joints, score) in enumerate(scene)
        for joint, where in joints.items()
    ]


def tables(human, machine):
    return people(*human, area=1000), model(*machine)


@settings(max_examples=200, deadline=None)
@given(scenes, scenes, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_but_their_order(one, two, random):
    human, machine = points(one), points(two)
    first = find(*tables(human, machine), floor=0)
    places, others = list(range(len(human))), list(range(len(machine)))
    random.shuffle(places)
    random.shuffle(others)
    second = find(*tables([human[at] for at in places], [machine[at] for at in others]), floor=0)
    back = np.array([*places, -1]), np.array([*others, -1])
    restored = [(*row[:2], back[0][row[2]], back[1][row[3]], *row[4:]) for row in second]
    assert sorted(restored) == sorted(first)


@settings(max_examples=200, deadline=None)
@given(scenes, scenes)
def test_a_task_alone_scores_as_in_the_project_and_a_point_is_found_once(one, two):
    human, machine = points(one), points(two)
    whole = find(*tables(human, machine), floor=0)
    about = [row[2] for row in whole if row[2] >= 0]
    assert len(set(about)) == len(about) == sum(row[2] >= 0 for row in human)
    assert all(0 <= row[4] <= 1 for row in whole)
    for task in range(3):
        mine = [[row for row in side if row[0] == task] for side in (human, machine)]
        alone = find(*tables(*mine), floor=0)
        assert [(row[1], row[4], row[5]) for row in alone] == [
            (row[1], row[4], row[5]) for row in whole if row[0] == task
        ]


@settings(max_examples=60, deadline=None)
@given(scenes, scenes)
def test_blocks_change_nothing(one, two):
    human, machine = points(one), points(two)
    whole = find(*tables(human, machine), floor=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_matching, "_BLOCK", 5)
        assert find(*tables(human, machine), floor=0) == whole


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_scores_follow_the_models_confidence(one, two):
    low, high = sorted((one, two))

    def score(human, score, kind):
        found = keypoints.find(
            people(*human), model(*sure(body(), score)), joints=4, calibration=TRUST, floor=0
        )
        return float(found.score[found.kind == kind].max(initial=0))

    missing = [score(body(j3=None), how, "missing") for how in (low, high)]
    assert missing[0] <= missing[1]
    spurious = [score(body(), how, "spurious") for how in (low, high)]
    assert spurious[0] >= spurious[1]


def test_a_point_further_off_is_worse():
    scores = [
        find(people(*body(j3=(100, 100 - off))), model(*sure(body())), floor=0)
        for off in range(0, 40, 5)
    ]
    worst = [max(row[4] for row in found if row[2] == 3) for found in scores]
    assert worst == sorted(worst)


def test_of_two_exchanged_joints_the_one_that_lies_less_near_is_exchanged_too():
    drawn = body(j0=SQUARE[1], j1=(0, 14))
    found = find(people(*drawn), model(*sure(body())))
    assert sorted((kind, annotation, label) for _, kind, annotation, _, _, label in found) == [
        ("mislabelled", 0, 1),
        ("mislabelled", 1, 0),
    ]
