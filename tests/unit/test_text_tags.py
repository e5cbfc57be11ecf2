import itertools

import numpy as np
import pytest

from ml_backend.predictors.text_tags import read_scheme


def readings(probs, begins):
    """The chance of every span, summed over all sequences of tags one by one.

    ``probs`` has O, then B and I of each class. An inside whose class hardly holds the word before
    is read as a beginning, the more so the less; without tags for beginnings, always so far.
    """
    classes = range(len(begins))
    choices = []
    for place, row in enumerate(probs):
        before = probs[place - 1] if place else np.zeros_like(row)
        options = [("O", 0, row[0])]
        for label in classes:
            begin, inside = row[1 + 2 * label], row[2 + 2 * label]
            held = before[1 + 2 * label] + before[2 + 2 * label]
            opens = inside * max(1 - held / (0.1 if begins[label] else 1), 0)
            options += [("B", label, begin + opens), ("I", label, inside - opens)]
        choices.append(options)
    total, found = 0.0, {}
    for tags in itertools.product(*choices):
        chance = float(np.prod([tag[2] for tag in tags]))
        spans = allowed(tags)
        if spans is not None:
            total += chance
            for span in spans:
                found[span] = found.get(span, 0.0) + chance
    return {span: chance / total for span, chance in found.items()}


def allowed(tags):
    """The spans of a sequence of tags, or None where an inside follows nothing of its class."""
    spans, open_label = [], None
    for place, (side, label, _) in enumerate(tags):
        if side == "B":
            spans.append((place, place, label))
        elif side == "I":
            if label != open_label:
                return None
            spans[-1] = (spans[-1][0], place, label)
        open_label = None if side == "O" else label
    return spans


def found(scheme, probs, offsets=None, least=0.001):
    offsets = np.array([0, len(probs)]) if offsets is None else offsets
    spans = scheme.spans(probs, offsets, least)
    rows = zip(spans.first, spans.last, spans.label, spans.score, strict=True)
    return {(int(first), int(last), int(label)): float(score) for first, last, label, score in rows}


@pytest.mark.parametrize(
    ("tags", "classes", "columns", "begins"),
    [
        ("O B-LOC I-LOC B-PER I-PER", "LOC PER", [0, 1, 2, 3, 4], [1, 1]),
        ("I-PER B-PER O I-A_B B-A_B X [CLS]", "PER A_B", [2, 1, 0, 4, 3, 0, 0], [1, 1]),
        ("B-LOC I-LOC I-PER O", "LOC PER", [1, 2, 4, 0], [1, 0]),
        ("O PER E-mail", "PER E-mail", [0, 2, 4], [0, 0]),
        ("O I-PER I-LOC", "PER LOC", [0, 2, 4], [0, 0]),
        ("O B-X I-X L-X U-X", "X", [0, 1, 2, 2, 1], [1]),
        ("O B-X I-X E-X S-X", "X", [0, 1, 2, 2, 1], [1]),
        ("B_X M_X E_X W_X O", "X", [1, 2, 2, 1, 0], [1]),
        ("NOUN VERB", "NOUN VERB", [2, 4], [0, 0]),
        ("O B-a-b I-a-b", "a-b", [0, 1, 2], [1]),
    ],
    ids=["BIO", "order", "IOB1", "IO", "IO with I", "BILOU", "BIOES", "BMEWO", "words", "dash"],
)
def test_schemes_are_told_by_their_names(tags, classes, columns, begins):
    scheme = read_scheme(tags.split())
    assert scheme.classes == tuple(classes.split())
    assert scheme.columns.tolist() == columns
    assert scheme.begins.tolist() == [bool(one) for one in begins]


@pytest.mark.parametrize("tags", [[], ["O"], ["O", "X", "[SEP]"]])
def test_tags_without_a_class_are_refused(tags):
    with pytest.raises(ValueError, match="names a class"):
        read_scheme(tags)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sharpness", [0.5, 2, 6])
def test_scores_are_those_of_a_sum_over_all_readings(seed, sharpness):
    random = np.random.default_rng(seed)
    probs = np.exp(sharpness * random.normal(size=(5, 5)))
    probs /= probs.sum(axis=1, keepdims=True)
    scheme = read_scheme(["O", "B-X", "I-X", "B-Y", "I-Y"])
    expected = readings(probs, [True, True])
    said = found(scheme, probs)
    for span, score in expected.items():
        assert said.get(span, 0) == pytest.approx(score, abs=3e-3)
    assert said.keys() <= expected.keys()


def test_texts_do_not_reach_into_each_other():
    random = np.random.default_rng(0)
    probs = random.dirichlet(np.ones(3), size=9)
    scheme = read_scheme(["O", "B-X", "I-X"])
    whole = found(scheme, probs, np.array([0, 4, 4, 9]))
    parts = found(scheme, probs[:4]) | {
        (first + 4, last + 4, label): score
        for (first, last, label), score in found(scheme, probs[4:]).items()
    }
    assert whole == pytest.approx(parts, abs=1e-6)


def one_hot(tags, said, sure=0.98):
    probs = np.full((len(said), len(tags)), (1 - sure) / (len(tags) - 1))
    probs[np.arange(len(said)), [tags.index(tag) for tag in said]] = sure
    return probs


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("O B-A I-A B-B I-B", "O B-A I-A O B-B B-B"),
        ("O B-A I-A B-B I-B", "O I-A I-A O I-B B-B"),
        ("O B-A I-A I-B B-B", "O I-A I-A O I-B B-B"),
        ("O A B", "O A A O B"),
        ("O B-A I-A L-A U-A B-B I-B L-B U-B", "O B-A L-A O U-B U-B"),
        ("O B-A M-A E-A S-A B-B M-B E-B S-B", "O B-A E-A O S-B S-B"),
    ],
    ids=["BIO", "IOB1 with all names", "IOB1", "bare", "BILOU", "BMES"],
)
def test_every_scheme_says_the_same(tags, said):
    tags, said = tags.split(), said.split()
    spans = found(read_scheme(tags), one_hot(tags, said), least=0.3)
    expected = {(1, 2, 0), (4, 4, 1)} | ({(5, 5, 1)} if len(said) == 6 else set())
    assert spans.keys() == expected
    assert min(spans.values()) > 0.85


def test_without_tags_for_beginnings_runs_are_spans():
    random = np.random.default_rng(1)
    probs = random.dirichlet([4, 2], size=5)
    said = found(read_scheme(["O", "PER"]), probs)
    runs = {}
    for tags in itertools.product([0, 1], repeat=5):
        chance = float(np.prod(probs[np.arange(5), list(tags)]))
        for value, group in itertools.groupby(range(5), key=lambda place: tags[place]):
            rows = list(group)
            if value:
                runs[rows[0], rows[-1], 0] = runs.get((rows[0], rows[-1], 0), 0) + chance
    assert max(abs(said.get(span, 0) - chance) for span, chance in runs.items()) < 0.15
