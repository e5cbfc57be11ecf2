"""Quality of the span scores on CoNLL text with errors planted at known places.

A tagger is trained on the train split and predicts the dev split. In a copy of the dev labels some
7 % of the spans get an error: another label, a border one token off, left out, or one more drawn
where there is none. Each score then ranks the sentences, and the human spans, by how likely they
hold an error. ``python -m benchmarks.spans`` prints the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from analysis import spans, taggers
from analysis.findings import NONE
from benchmarks.measures import SHARED, measure, missing

__all__ = ["rows", "skipped"]

SEEDS: Final = (0, 1, 2)
RATE: Final = 0.07
CLASSES: Final = ("LOC", "MISC", "ORG", "PER")
TAGS: Final = ("O", *(f"{side}-{name}" for name in CLASSES for side in "BI"))
BEGIN: Final = (1, 3, 5, 7)
INSIDE: Final = (2, 4, 6, 8)
_DATA: Final = SHARED / "conllpp"

#: First token, last token and class of each span.
Triples = NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Sentences as one table of tokens: N tokens, S sentences."""

    words: list[str]
    tags: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def sentence(self) -> NDArray[np.int64]:
        """Sentence of each token, (N,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def places(self, table: Triples, score: NDArray[Any] | None = None) -> spans.Spans:
        """Spans in characters; a sentence is a task, its words are joined by blanks."""
        ends = np.cumsum([len(word) + 1 for word in self.words])
        starts = ends - [len(word) + 1 for word in self.words]
        base = starts[self.offsets[self.sentence[table[:, 0]]]]
        return spans.Spans(
            self.sentence[table[:, 0]],
            starts[table[:, 0]] - base,
            ends[table[:, 1]] - 1 - base,
            table[:, 2],
            score,
        )


@dataclass(frozen=True)
class Damaged:
    """Labels with errors: spans, which of them are wrong, and which sentences hold an error."""

    spans: Triples
    wrong: NDArray[np.bool_]
    sentences: NDArray[np.bool_]


def skipped() -> str | None:
    """Why this benchmark cannot run here, or None."""
    return missing(_DATA)


def rows() -> list[dict[str, Any]]:
    """Measure every score on every seed; no rows where ``skipped`` says why."""
    if skipped():
        return []
    text, probs = _predicted()
    found = []
    for seed in SEEDS:
        damaged = damage(text, seed)
        for score, (sentence, span) in _scores(text, probs, damaged).items():
            for data, truth, ranked in (
                ("conllpp sentences", damaged.sentences, sentence),
                ("conllpp spans", damaged.wrong, span),
            ):
                found.append({"data": data, "seed": seed, "score": score} | measure(truth, ranked))
    return found


def _scores(
    text: Text, probs: NDArray[np.float64], damaged: Damaged
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Each score of the sentences and of the human spans, higher is more likely wrong."""
    tags = _tags(len(text.words), damaged.spans)
    own = probs[np.arange(len(tags)), tags]
    mean = np.add.reduceat(own, text.offsets[:-1]) / np.diff(text.offsets)
    return {
        "relook": relook(text, probs, damaged.spans),
        "self-confidence, mean": (1 - mean, 1 - _over_spans(np.mean, own, damaged.spans)),
        **dict(_cleanlab(text, probs, tags, damaged.spans)),
    }


def relook(
    text: Text, probs: NDArray[np.float64], human: Triples
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Relook's score of the sentences and of the human spans."""
    tagger: dict[str, Any] = {"begin": BEGIN, "inside": INSIDE}
    likely = taggers.span_marginals(probs, text.offsets, least=1e-3, **tagger)
    first, last, label = human.T
    support = taggers.span_support(
        probs, text.offsets, first=first, last=last, label=label, **tagger
    )
    predicted = text.places(
        np.concatenate([np.column_stack([likely.first, likely.last, likely.label]), human]),
        np.concatenate([likely.score, support]),
    )
    found = spans.find(text.places(human), predicted, num_classes=len(CLASSES), floor=0)
    span = np.zeros(len(human))
    about = found.annotation != NONE
    span[found.annotation[about]] = found.score[about]
    return spans.task_scores(found, np.arange(len(text.offsets) - 1)), span


def _cleanlab(
    text: Text, probs: NDArray[np.float64], tags: NDArray[np.int64], human: Triples
) -> Iterator[tuple[str, tuple[NDArray[Any], NDArray[Any]]]]:
    peer = import_module("cleanlab.token_classification.rank")
    cuts = text.offsets[1:-1]
    labels = [part.tolist() for part in np.split(tags, cuts)]
    for token in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        for sentence in ("min", "softmin"):
            quality, tokens = peer.get_label_quality_scores(
                labels,
                np.split(probs, cuts),
                token_score_method=token,
                sentence_score_method=sentence,
            )
            worst = _over_spans(np.min, np.concatenate(tokens), human)
            yield f"cleanlab {token} {sentence}", (1 - quality, 1 - worst)


def _over_spans(reduce: Any, token: NDArray[Any], table: Triples) -> NDArray[np.float64]:
    return np.array([reduce(token[first : last + 1]) for first, last, _ in table])


def damage(text: Text, seed: int) -> Damaged:
    """Plant errors into a copy of the labels: kinds, places and seed are all there is to them."""
    random = np.random.default_rng(seed)
    true = _spans(text.tags, text.offsets)
    sentence = text.sentence
    taken = _tags(len(text.words), true) > 0
    words = np.array([word.isalnum() for word in text.words])
    kept, wrong, hurt = [], [], []

    def put(first: int, last: int, label: int, error: bool) -> None:
        kept.append((first, last, label))
        wrong.append(error)
        taken[first : last + 1] = True
        if error:
            hurt.append(sentence[first])

    for first, last, label in true.tolist():
        kind = random.choice(["label", "border", "left out", "added"])
        if random.random() >= RATE:
            put(first, last, label, False)
        elif kind == "left out":
            hurt.append(sentence[first])
        elif kind == "added":
            put(first, last, label, False)
            free = int(random.choice(np.flatnonzero(~taken & words)))
            put(free, free, int(random.integers(len(CLASSES))), True)
        else:
            moved = [
                place
                for place in (
                    (first - 1, last),
                    (first, last + 1),
                    (first + 1, last),
                    (first, last - 1),
                )
                if kind == "border" and _fits(text, taken, place, (first, last))
            ]
            if moved:
                put(*moved[random.integers(len(moved))], label, True)
            else:
                other = (label + int(random.integers(1, len(CLASSES)))) % len(CLASSES)
                put(first, last, other, True)
    order = np.argsort([span[0] for span in kept], kind="stable")
    sentences = np.zeros(len(text.offsets) - 1, dtype=np.bool_)
    sentences[hurt] = True
    return Damaged(np.array(kept)[order], np.array(wrong)[order], sentences)


def _fits(
    text: Text, taken: NDArray[np.bool_], place: tuple[int, int], old: tuple[int, int]
) -> bool:
    first, last = place
    begin, end = text.offsets[np.searchsorted(text.offsets, old[0], side="right") - 1 :][:2]
    if not begin <= first <= last < end:
        return False
    return all(old[0] <= token <= old[1] or not taken[token] for token in (first, last))


def _spans(tags: NDArray[np.int64], offsets: NDArray[np.int64]) -> Triples:
    """Spans of BIO tags; every span of the data begins with a B."""
    first = np.flatnonzero(tags % 2 == 1)
    stop = np.ones(len(tags) + 1, dtype=np.bool_)
    stop[:-1] = (tags == 0) | (tags % 2 == 1)
    stop[offsets] = True
    stops = np.flatnonzero(stop)
    last = stops[np.searchsorted(stops, first, side="right")] - 1
    return np.column_stack([first, last, (tags[first] - 1) // 2])


def _tags(count: int, table: Triples) -> NDArray[np.int64]:
    tags = np.zeros(count, dtype=np.int64)
    for first, last, label in table:
        tags[first] = BEGIN[label]
        tags[first + 1 : last + 1] = INSIDE[label]
    return tags


@cache
def _predicted() -> tuple[Text, NDArray[np.float64]]:
    """The dev text and its tag probabilities by a model that has seen the train text only."""
    train, dev = _read("train"), _read("dev")
    hasher = FeatureHasher(1 << 18, input_type="string", alternate_sign=False)
    model = SGDClassifier(loss="log_loss", alpha=3e-6, max_iter=6, tol=None, random_state=0)
    model.fit(hasher.transform(_features(train)), train.tags)
    return dev, model.predict_proba(hasher.transform(_features(dev)))


def _read(split: str) -> Text:
    words, tags, offsets = [], [], [0]
    for line in (_DATA / f"conllpp_{split}.txt").read_text().splitlines():
        fields = line.split()
        if fields and fields[0] != "-DOCSTART-":
            words.append(fields[0])
            tags.append(TAGS.index(fields[3]))
        elif offsets[-1] < len(words):
            offsets.append(len(words))
    if offsets[-1] < len(words):
        offsets.append(len(words))
    return Text(words, np.array(tags), np.array(offsets))


def _features(text: Text) -> Iterator[list[str]]:
    """What a token looks like: itself, its parts and two neighbours on either side."""
    for begin, end in zip(text.offsets[:-1], text.offsets[1:], strict=True):
        lower = ["|", "|", *(word.lower() for word in text.words[begin:end]), "|", "|"]
        shape = ["|", "|", *(_shape(word) for word in text.words[begin:end]), "|", "|"]
        loud = f"loud={sum(word.isupper() for word in text.words[begin:end]) * 2 > end - begin}"
        for at, word in enumerate(text.words[begin:end], start=2):
            low = lower[at]
            yield [
                loud,
                f"w={word}",
                *(f"p{size}={low[:size]}" for size in range(1, 5)),
                *(f"s{size}={low[-size:]}" for size in range(1, 5)),
                *(f"l{step}={lower[at + step]}" for step in range(-2, 3)),
                *(f"h{step}={shape[at + step]}" for step in range(-2, 3)),
                *(f"ll{step}={lower[at + step]} {lower[at + step + 1]}" for step in (-1, 0)),
                *(f"hh{step}={shape[at + step]} {shape[at + step + 1]}" for step in (-1, 0)),
                f"hhh={shape[at - 1]} {shape[at]} {shape[at + 1]}",
            ]


@cache
def _shape(word: str) -> str:
    for pattern, sign in (("[A-Z]", "X"), ("[a-z]", "x"), ("[0-9]", "d")):
        word = re.sub(pattern, sign, word)
    return re.sub(r"(.)\1{2,}", r"\1\1", word)


def main() -> None:
    """Print the table."""
    reason = skipped()
    if reason:
        print(f"skipped: {reason}")
        return
    print(
        f"{'data':<18} {'seed':>4} {'score':<46} {'AUROC':>7} {'AP':>7} {'P@E':>7} {'errors':>6} n"
    )
    for row in rows():
        print(
            f"{row['data']:<18} {row['seed']:>4} {row['score']:<46} {row['auroc']:>7.4f} "
            f"{row['ap']:>7.4f} {row['precision_at_errors']:>7.4f} {row['errors']:>6} {row['n']}"
        )


if __name__ == "__main__":
    main()
