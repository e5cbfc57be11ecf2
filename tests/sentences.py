"""Sentences whose names, places, dates and topic are known: the truth behind text tests."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

ENTITIES = ("person", "place", "date")
TOPICS = ("travel", "work", "weather")

_FIRST = (
    *("Ana", "Bruno", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo"),
    *("Ines", "Jonas", "Katrin", "Lev", "Mira", "Nils", "Olga"),
)
_LAST = (
    *("Abel", "Brandt", "Costa", "Dahl", "Eriksen", "Fischer", "Gomez", "Haas"),
    *("Ivanov", "Jansen", "Keller", "Lindqvist"),
)
_PLACES = (
    *("Lisbon", "Oslo", "New York", "Buenos Aires", "Kyoto", "Nairobi", "San Sebastian"),
    *("Ghent", "Cape Town", "Lima", "Riga", "Bad Ems"),
)
_MONTHS = ("January", "March", "April", "June", "July", "September", "October", "December")
_TEMPLATES = {
    "travel": (
        "{person} flew from {place} to {place} on {date}.",
        "The train to {place} was late, so {person} stayed at a hotel near the harbour.",
        "On {date} the ferry left {place} with two hundred guests.",
        "We booked rooms in {place} and a car for the weekend.",
    ),
    "work": (
        "{person} and {person} signed the contract in {place}.",
        "The report by {person} is due on {date}, said the head of the office.",
        "Since {date} {person} leads the team of engineers.",
        "The meeting was moved because the budget is not ready.",
    ),
    "weather": (
        "Heavy rain hit {place} on {date}, and the streets were full of water.",
        "{person} measured the wind above {place}.",
        "It will be cold and cloudy with some snow in the hills.",
        "A storm is expected in {place}, warned {person} this morning.",
    ),
}


@dataclass(frozen=True)
class Sentence:
    """A text and all that is true of it.

    Attributes:
        text: one sentence.
        spans: start, end (the first character outside) and entity of each name, in order.
        topic: its class, one of ``TOPICS``.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...]
    topic: str


def sentences(count: int, seed: int = 0) -> list[Sentence]:
    """Make sentences; the same seed makes the same ones, and the topics take turns."""
    source = random.Random(seed)
    return [_sentence(source, TOPICS[row % len(TOPICS)]) for row in range(count)]


def joined(parts: list[Sentence], between: str = " ") -> Sentence:
    """One long text of several sentences, with their spans moved along."""
    text, spans = "", []
    for part in parts:
        text += between if text else ""
        spans += [(start + len(text), end + len(text), label) for start, end, label in part.spans]
        text += part.text
    return Sentence(text, tuple(spans), parts[0].topic)


def _sentence(source: random.Random, topic: str) -> Sentence:
    text, spans = "", []
    for part in re.split(r"(\{\w+\})", source.choice(_TEMPLATES[topic])):
        if part.startswith("{"):
            label = part.strip("{}")
            name = _name(source, label)
            spans.append((len(text), len(text) + len(name), label))
            text += name
        else:
            text += part
    return Sentence(text, tuple(spans), topic)


def _name(source: random.Random, label: str) -> str:
    if label == "place":
        return source.choice(_PLACES)
    if label == "date":
        return f"{source.randint(1, 28)} {source.choice(_MONTHS)} {source.randint(1990, 2025)}"
    first = source.choice(_FIRST)
    return f"{first} {source.choice(_LAST)}" if source.random() < 0.7 else first
