"""The report on annotators, from columns."""

from __future__ import annotations

import csv
import io

import numpy as np

from ml_backend.demo.projects import CONFIGS, SampleTask, human_result
from ml_backend.jobs.project.annotators import _agreement
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.regions.results import decode
from ml_backend.review.feedback import Agreement, Labelled, Mix, Pair, Report, report
from ml_backend.review.feedback_csv import as_csv
from ml_backend.review.judged import RIGHT, WRONG, Judged
from ml_backend.scoring.between import agreed, changes

NONE = -1
BOXES = np.array([[10, 10, 40, 40], [60, 60, 90, 90], [10, 60, 40, 90]], dtype=np.float32)
IMAGE = np.zeros((100, 100, 3), dtype=np.uint8)
DAY = 86_400.0


def of_columns(
    author: list[int], verdict: list[int], probability: list[float], **more: list[float]
) -> Labelled:
    count = len(author)
    return Labelled(
        task=np.arange(100, 100 + count),
        author=np.array(author),
        made=np.array(more.get("made", [4 * DAY] * count)),
        found=np.zeros(count, dtype=np.bool_),
        suspected=np.array(more.get("suspected", [True] * count)),
        probability=np.array(probability),
        judged=Judged(np.zeros(count, dtype=np.bool_), np.array(verdict), np.full(count, NONE)),
    )


def told(work: Labelled, *mixes: Mix, names: dict[int, str] | None = None) -> Report:
    return report(1, work, mixes, [], names or {1: "a@x", 2: "b@x"})


def test_whoever_is_wrong_more_often_comes_first():
    work = of_columns(
        [1] * 20 + [2] * 20, [RIGHT] * 19 + [NONE] + [WRONG] * 10 + [NONE] * 10, [0.5] * 40
    )
    first, second = told(work).annotators
    assert (first.name, second.name) == ("b@x", "a@x")
    assert (first.confirmed, first.kept, second.confirmed, second.kept) == (10, 0, 0, 19)
    assert first.share.share is not None
    assert first.share.low < first.share.share < first.share.high
    # No verdict is contradicted: half of the labels are known to be wrong.
    assert first.share.low >= 0.5
    assert second.share.high <= 1 - 19 / 20


def test_who_labelled_a_flagged_task_beside_somebody_who_was_wrong_had_no_finding():
    work = of_columns([1, 2], [RIGHT, WRONG], [0.1, 0.9], suspected=[False, True])
    wrong, fine = told(work).annotators
    assert (wrong.id, wrong.findings, wrong.confirmed) == (2, 1, 1)
    assert (fine.findings, fine.kept) == (0, 0)


def test_without_scores_and_verdicts_the_share_is_unknown():
    (one,) = told(of_columns([1, 1], [NONE, NONE], [np.nan, np.nan])).annotators
    assert one.share.share is None
    assert (one.share.low, one.share.high) == (0.0, 1.0)


def test_weeks_begin_on_monday():
    # The first of January 1970 was a Thursday.
    made = [0.0, 3 * DAY, 4 * DAY, 10 * DAY]
    (one,) = told(
        of_columns([1] * 4, [WRONG, RIGHT, WRONG, WRONG], [0.9] * 4, made=made)
    ).annotators
    assert [(week.week, week.annotations, week.errors) for week in one.weeks] == [
        ("1969-12-29", 2, 1),
        ("1970-01-05", 2, 2),
    ]


def test_a_confusion_names_both_labels_and_tasks_the_confirmed_first():
    work = of_columns([1, 1, 1, 2], [NONE, WRONG, WRONG, NONE], [0.9] * 4)
    mix = Mix(
        "digit",
        ("cat", "dog"),
        annotation=np.array([0, 1, 2]),
        given=np.array([0, 0, NONE], dtype=np.int32),
        better=np.array([1, 1, 1], dtype=np.int32),
        verified=np.array([False, True, True]),
        used=np.array([[7, 0], [1, 0]]),
    )
    one = next(one for one in told(work, mix).annotators if one.id == 1)
    first, second = one.confusions
    assert (first.given, first.better, first.confirmed, first.suspected) == ("cat", "dog", 1, 1)
    assert (first.labelled, first.tasks) == (7, [101, 100])
    assert (second.given, second.better, second.tasks) == ("", "dog", [102])


def test_weeks_and_agreement_are_rows_of_the_csv():
    work = of_columns([1, 1, 2], [WRONG, RIGHT, RIGHT], [0.9] * 3, made=[0.0, 10 * DAY, 0.0])
    agreement = [Agreement("digit", 0.5, [Pair("a@x", "=b", 7, 0.8, None)])]
    found = report(1, work, [], agreement, {1: "a@x", 2: "=b"})
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    weeks = [row for row in rows if row["week"] and row["annotator"] == "a@x"]
    assert [(row["week"], row["week_annotations"], row["week_errors"]) for row in weeks] == [
        ("1969-12-29", "1", "1"),
        ("1970-01-05", "1", "0"),
    ]
    shared = [row for row in rows if row["colleague"]]
    assert {(row["annotator"], row["colleague"]) for row in shared} == {
        ("a@x", "'=b"),
        ("'=b", "a@x"),
    }
    assert {(row["shared_tasks"], row["agreement"], row["kappa"]) for row in shared} == {
        ("7", "0.8", "")
    }


def test_annotations_without_an_author_are_nobodys_in_the_agreement_too():
    (control,) = parse_config(CONFIGS["detection"]).controls
    said = human_result("detection", SampleTask(IMAGE, [3, 4, 5], BOXES))
    labels, task, author = decode(control, [said, said]), np.array([1, 1]), np.array([NONE, 2])
    names = {2: "b@x"}
    agreement = _agreement(control, agreed(control, labels, task, author, np.arange(2)), names)
    work = of_columns([NONE, 2], [RIGHT] * 2, [0.1] * 2)
    found = report(1, work, [], [agreement], names)
    rows = csv.DictReader(io.StringIO(as_csv(found)))
    assert {(row["annotator"], row["colleague"]) for row in rows if row["colleague"]} == {
        ("nobody named", "b@x"),
        ("b@x", "nobody named"),
    }


def test_cells_that_a_spreadsheet_would_run_are_defused():
    names = {1: "=1+1", 2: "+2", 3: "-3", 4: "@four", 5: "plain"}
    work = of_columns([1, 2, 3, 4, 5], [RIGHT] * 5, [0.1] * 5)
    mix = Mix(
        "=tag",
        ("@label",),
        annotation=np.array([0]),
        given=np.array([0], dtype=np.int32),
        better=np.array([NONE], dtype=np.int32),
        verified=np.array([True]),
        used=np.ones((5, 1), dtype=np.int64),
    )
    rows = list(csv.DictReader(io.StringIO(as_csv(told(work, mix, names=names)))))
    assert {row["annotator"] for row in rows} == {"'=1+1", "'+2", "'-3", "'@four", "plain"}
    (pair,) = [row for row in rows if row["given"]]
    assert (pair["control"], pair["given"], pair["better"]) == ("'=tag", "'@label", "")


def test_what_an_answer_changed_is_told_region_by_region():
    (control,) = parse_config(CONFIGS["detection"]).controls
    moved = BOXES[[0, 1]] + np.array([0, 0, 8, 0], dtype=np.float32) * np.array([[0], [1]])
    given = human_result("detection", SampleTask(IMAGE, [3, 4, 5], BOXES))
    elsewhere = np.array([[50, 10, 80, 40]], dtype=np.float32)
    drawn = np.concatenate([moved, elsewhere])
    answer = human_result("detection", SampleTask(IMAGE, [8, 4, 6], drawn))
    labels = decode(control, [given, answer])
    found = changes(control, labels, np.array([0]), np.array([1]))
    pairs = set(zip(found.given.tolist(), found.better.tolist(), strict=True))
    # Another label, a box drawn anew, one that is missing and one too many.
    assert pairs == {(3, 8), (4, 4), (NONE, 6), (5, NONE)}
    assert set(found.annotation.tolist()) == {0}


def test_the_same_said_again_is_no_change():
    (control,) = parse_config(CONFIGS["detection"]).controls
    said = human_result("detection", SampleTask(IMAGE, [3, 4, 5], BOXES))
    found = changes(control, decode(control, [said, said[::-1]]), np.array([0]), np.array([1]))
    assert len(found.annotation) == 0


def test_people_who_draw_the_same_agree_and_others_do_not():
    (control,) = parse_config(CONFIGS["detection"]).controls
    same = human_result("detection", SampleTask(IMAGE, [3, 4, 5], BOXES))
    other = human_result("detection", SampleTask(IMAGE, [3, 7, 8], BOXES))
    labels = decode(control, [same, same, other, same])
    task, author = np.array([1, 1, 1, 2]), np.array([5, 6, 7, 5])
    found = agreed(control, labels, task, author, np.arange(4))
    by_pair = {
        pair: share
        for *pair, share in zip(
            found.first.tolist(), found.second.tolist(), found.agreement.tolist(), strict=True
        )
        for pair in [tuple(pair)]
    }
    assert by_pair[5, 6] == 1
    assert by_pair[5, 7] == by_pair[6, 7] < 0.5
    assert found.tasks.tolist() == [1, 1, 1]
