import numpy as np
import pytest

from analysis.findings import KINDS, Findings
from analysis.reasons import WORDS, describe

NAMES = ("cat", "dog")


def say(kind: str, what: str, better: int = 1) -> str:
    found = Findings(
        *(np.array([0]), np.array([kind]), np.array([0]), np.array([0])),
        *(np.array([0.9]), np.array([better])),
    )
    (reason,) = describe(
        found,
        NAMES,
        given=np.array([0], dtype=np.int32),
        confidence=np.array([0.97], dtype=np.float32),
        overlap=np.array([0.45], dtype=np.float32),
        what=what,
    )
    return reason


def test_reasons_as_a_reviewer_reads_them():
    assert say("mislabelled", "box") == "labelled cat, model says dog (0.97)"
    assert say("missing", "span") == "missing: dog, model 0.97"
    assert say("badly_drawn", "span") == "wrong boundary: cat, shares 45% with the model's (0.97)"
    assert say("outlier", "item", -1) == "outlier: unlike everything else labelled cat"


def test_every_kind_has_words_somewhere():
    assert {kind for words in WORDS.values() for kind in words} == set(KINDS)


def test_a_label_without_a_name_is_a_question_mark():
    assert say("disagreement", "item", -1) == "annotators disagree: cat, most likely ?"


@pytest.mark.parametrize(("kind", "what"), [("missing", "sound"), ("outlier", "box")])
def test_what_has_no_words_is_named(kind, what):
    with pytest.raises(ValueError, match=r"'sound'|'outlier'"):
        say(kind, what)
