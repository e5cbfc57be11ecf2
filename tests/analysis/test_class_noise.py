import numpy as np
import pytest

from analysis import class_noise
from analysis.findings import Findings

# cleanlab 2.9: compute_confident_joint(labels, probs, calibrate=False) of 300 random rows.
COUNTS = np.array([[23, 0, 1, 0], [3, 32, 1, 0], [0, 0, 27, 0], [0, 0, 0, 31]])
LABELS = np.array([71, 81, 71, 77])


def found(*rows):
    """Rows of (kind, annotation, score, label)."""
    kind, annotation, score, label = (np.array(column) for column in zip(*rows, strict=True))
    return Findings(np.zeros(len(kind)), kind, annotation, annotation, score, label)


def rows_of(pairs):
    return [
        (*whole, round(float(expected), 4), round(float(rate), 4))
        for *whole, expected, rate in zip(
            pairs.given.tolist(),
            pairs.true.tolist(),
            pairs.count.tolist(),
            pairs.expected,
            pairs.rate,
            strict=True,
        )
    ]


def test_the_joint_is_cleanlabs_but_for_whole_labels():
    # cleanlab 2.9: estimate_joint(labels, probs, confident_joint=COUNTS) * 300.
    wanted = [[68, 0, 3, 0], [7, 72, 2, 0], [0, 0, 71, 0], [0, 0, 0, 77]]
    joint = class_noise.joint(COUNTS, LABELS)
    assert np.abs(joint * 300 - wanted).max() < 0.5
    np.testing.assert_allclose(joint.sum(axis=1), LABELS / 300)
    assert 1 - joint.trace() == pytest.approx((71 / 24 + 81 * 4 / 36) / 300)


def test_pairs_of_the_joint():
    assert rows_of(class_noise.from_joint(COUNTS, LABELS)) == [
        (1, 0, 3, 6.75, 0.0833),
        (0, 2, 1, 2.9583, 0.0417),
        (1, 2, 1, 2.25, 0.0278),
    ]


def test_a_class_never_counted_is_taken_to_be_right():
    joint = class_noise.joint(np.array([[0, 0], [1, 1]]), np.array([4, 4]))
    assert joint.tolist() == [[0.5, 0], [0.25, 0.25]]
    assert class_noise.joint(np.zeros((2, 2)), np.zeros(2)).tolist() == [[0, 0], [0, 0]]
    assert class_noise.joint(np.zeros((0, 0)), np.zeros(0)).shape == (0, 0)


def test_pairs_of_findings_by_hand():
    labels = np.array([0, 0, 1, 1, -1])
    findings = found(
        ("mislabelled", 0, 0.5, 1),
        ("mislabelled", 1, 0.25, 1),
        ("spurious", 2, 0.6, -1),
        ("missing", -1, 0.9, 0),
        ("badly_drawn", 3, 0.9, 1),
        ("duplicate", 3, 0.9, -1),
    )
    wanted = [(-1, 0, 1, 0.9, 0.18), (0, 1, 2, 0.75, 0.375), (1, -1, 1, 0.6, 0.3)]
    assert rows_of(class_noise.from_findings(findings, labels, num_classes=2)) == wanted
    order = np.array([5, 3, 1, 4, 2, 0])
    again = class_noise.from_findings(findings.take(order), labels, num_classes=2)
    assert rows_of(again) == wanted
    calibrated = class_noise.from_findings(
        findings, labels, num_classes=2, probability=np.array([1, 1, 0, 0.1, 1, 1])
    )
    assert rows_of(calibrated) == [(0, 1, 2, 2.0, 1.0), (-1, 0, 1, 0.1, 0.02)]


def test_no_findings_no_pairs():
    assert len(class_noise.from_findings(Findings(), np.empty(0, dtype=int), num_classes=3)) == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: class_noise.from_findings(
                found(("mislabelled", 3, 0.5, 1)), np.zeros(2, dtype=int), num_classes=2
            ),
            "findings row 0 is of annotation 3 and label 1, expected below 2 and 2",
        ),
        (
            lambda: class_noise.from_findings(
                found(("duplicate", 0, 1, -1), ("mislabelled", 0, 1, 2)),
                np.zeros(2, dtype=int),
                num_classes=2,
            ),
            "findings row 1",
        ),
        (
            lambda: class_noise.from_findings(
                Findings(), np.empty(0, dtype=int), num_classes=2, probability=np.ones(1)
            ),
            "probability has 1 rows, expected 0",
        ),
        (lambda: class_noise.joint(np.ones((2, 3)), np.ones(2)), "do not match"),
        (lambda: class_noise.joint(np.array([[1, 1], [1, -1]]), np.ones(2)), "row 1"),
        (lambda: class_noise.joint(np.array([[np.nan, 1], [1, 1]]), np.ones(2)), "row 0"),
    ],
)
def test_wrong_rows_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
