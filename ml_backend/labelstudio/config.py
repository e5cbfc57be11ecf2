"""The labelling config: which control tags Relook serves, with which labels and settings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import numpy as np
from defusedxml import DefusedXmlException
from numpy.typing import NDArray

from ml_backend.errors import ConfigError
from ml_backend.outlines import Geometry

__all__ = ["SERVED", "Control", "LabelingConfig", "parse_config"]

#: Control tags that Relook serves, with the geometry of their regions.
SERVED: Final[Mapping[str, Geometry]] = {
    "RectangleLabels": "box",
    "PolygonLabels": "polygon",
    "BrushLabels": "mask",
    "KeyPointLabels": "point",
    "Choices": "choice",
    "Labels": "span",
}

#: Object tags that they may label, with what a model is given.
_READ: Final[Mapping[str, Literal["image", "text"]]] = {"Image": "image", "Text": "text"}
_CHOICE: Final = ("single", "single-radio", "multiple")
_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0")
#: Label Studio's own configs stay far below both. Each control tag is searched for its labels.
_DEEPEST: Final = 100
_LONGEST: Final = 8 << 20
#: A value that names one key of the task's data, "$a.b" the b within the a. What names several, or
#: an index that a Repeater counts, does not.
_KEY: Final = re.compile(r"\$[^\s${}\[\]]+")
#: In the name of a tag that a Repeater makes many of.
_COUNTED: Final = "{{"
#: Digits of the number of a key point.
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag that Relook serves.

    Attributes:
        tag: one of ``SERVED``.
        name: its ``name``, what Label Studio calls ``from_name``.
        to_name: the object tag it labels.
        data_key: the key of the task's data that holds the object, without ``$``; see
            ``TaskInputs.values``.
        reads: whether that object is an image or a text.
        by_url: whether a text's value is its address.
        labels: the labels as regions store them, in the config's order; a label's index is its
            class index.
        predicted_values: lower-case model class to label index, from ``predicted_values`` and,
            for key points, from ``model_index``, the number of the model's key point.
        multiple: whether several choices may hold at once.
        model_path: the model named on the tag, or "".
        score_threshold: the lowest confidence of a pre-label, or None where the tag names none.
    """

    tag: str
    name: str
    to_name: str
    data_key: str
    reads: Literal["image", "text"]
    by_url: bool
    labels: tuple[str, ...]
    predicted_values: Mapping[str, int]
    multiple: bool
    model_path: str
    score_threshold: float | None

    @property
    def geometry(self) -> Geometry:
        """What its regions are made of."""
        return SERVED[self.tag]

    @property
    def kind(self) -> str:
        """The type of its regions in Label Studio's JSON, which is also their value's key."""
        return self.tag.lower()

    def threshold(self, otherwise: float) -> float:
        """Return the confidence from which a prediction counts as one.

        Args:
            otherwise: the project's, for a tag that names none.
        """
        return otherwise if self.score_threshold is None else self.score_threshold

    def label_map(self, classes: Sequence[str]) -> NDArray[np.int32]:
        """Map model classes to labels: ``predicted_values`` first, then name, then any case.

        Returns:
            int32 (len(classes),): label index of each model class, -1 where it has none.
        """
        exact = {label: index for index, label in enumerate(self.labels)}
        lower = {label.lower(): index for index, label in reversed(list(enumerate(self.labels)))}

        def index_of(name: str) -> int:
            mapped = self.predicted_values.get(name.lower())
            if mapped is not None:
                return mapped
            return exact.get(name, lower.get(name.lower(), -1))

        return np.array([index_of(name) for name in classes], dtype=np.int32)

    def unmapped(self, classes: Sequence[str]) -> list[str]:
        """Say, for each model class that no label takes, which label comes closest."""
        by_lower = {label.lower(): label for label in self.labels}
        said = []
        for name, index in zip(classes, self.label_map(classes), strict=True):
            if index < 0:
                close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
                hint = f" (closest label: {by_lower[close[0]]!r})" if close else ""
                said.append(f"{name!r}{hint}")
        return said


@dataclass(frozen=True, slots=True)
class LabelingConfig:
    """What Relook serves of one project's labelling config.

    Attributes:
        controls: the served control tags, in the config's order; never empty.
        skipped: names of control tags with ``model_skip="true"``.
        xml: the config as it was read.
        left: names of control tags that are left to people, although they label images or texts,
            and why.
    """

    controls: tuple[Control, ...]
    skipped: tuple[str, ...]
    xml: str
    left: tuple[tuple[str, str], ...] = ()

    @property
    def data_keys(self) -> tuple[str, ...]:
        """The keys of the task's data that hold what the controls label, each once."""
        return tuple(dict.fromkeys(control.data_key for control in self.controls))


def parse_config(xml: str) -> LabelingConfig:
    """Read a labelling config.

    Raises:
        ConfigError: when it is not XML, holds no tag that Relook serves, or an attribute is wrong.
    """
    if len(xml) > _LONGEST:
        raise ConfigError(
            f"The labelling config has {len(xml)} characters, more than {_LONGEST}; shorten it."
        )
    try:
        root = defusedxml.ElementTree.fromstring(xml)
    except (SyntaxError, ValueError, DefusedXmlException) as error:
        raise ConfigError(f"The labelling config is not valid XML: {error}.") from error
    _check_depth(root)
    objects = {
        tag.get("name"): tag
        for tag in root.iter()
        if tag.get("name") and (tag.get("value") or tag.get("valueList"))
    }
    controls, skipped, left = [], [], []
    for tag in root.iter():
        if tag.tag not in SERVED or not _on_a_whole_object(tag, objects):
            continue
        if _is_skipped(tag):
            skipped.append(tag.get("name", ""))
        elif why := _beyond_us(tag, objects):
            left.append((tag.get("name", ""), f"{_where(tag)} is left to people: {why}"))
        else:
            controls.append(_control(tag, objects))
    if not controls:
        raise ConfigError(
            "The labelling config has no control tag that Relook serves"
            + (f" (skipped by model_skip: {', '.join(skipped)})" if skipped else "")
            + f". Use one of {', '.join(SERVED)} on {' or '.join(_READ)}."
            + "".join(f" {why}." for _, why in left)
        )
    return LabelingConfig(tuple(controls), tuple(skipped), xml, tuple(left))


def _check_depth(root: Element) -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ConfigError(
                f"The labelling config has tags within tags deeper than {_DEEPEST}; flatten it."
            )
        level = [child for tag in level for child in tag]


def _on_a_whole_object(tag: Element, objects: Mapping[str | None, Element]) -> bool:
    """Whether a tag labels images or texts, not audio, nor a single region or page of one."""
    labelled = objects.get(tag.get("toName"))
    of_part = any(tag.get(name, "false").lower() in _TRUE for name in ("perRegion", "perItem"))
    # What it labels may be misspelt: then the tag is ours to complain about.
    return not of_part and (labelled is None or labelled.tag in _read_by(tag))


def _is_skipped(tag: Element) -> bool:
    said = tag.get("model_skip") or "false"
    if said.lower() not in (*_TRUE, *_FALSE):
        raise ConfigError(f"{_where(tag)} has model_skip={said[:80]!r}; allowed is true or false.")
    return said.lower() in _TRUE


def _beyond_us(tag: Element, objects: Mapping[str | None, Element]) -> str:
    """Why a tag on an image or text cannot be served; "" where it can."""
    labelled = objects.get(tag.get("toName"))
    if labelled is None:
        return ""
    source = labelled.get("value", "")
    if labelled.get("valueList"):
        return f"{tag.get('toName')!r} shows several images at once"
    if _COUNTED in tag.get("name", ""):
        return "a Repeater makes many of it"
    if "$" in source and not _KEY.fullmatch(source):
        return f"{source!r} names no single key of the task's data"
    if "$" in tag.get("value", "") and not _children(tag):
        return f"its labels stand in the tasks, as {tag.get('value')!r}"
    return ""


def _where(tag: Element) -> str:
    return f"<{tag.tag} name={tag.get('name', '')!r}>"


def _children(tag: Element) -> list[Element]:
    """The labels inside a control tag."""
    return [child for child in tag.iter(_inside(tag)) if child.get("value")]


def _inside(tag: Element) -> str:
    return "Choice" if tag.tag == "Choices" else "Label"


def _read_by(tag: Element) -> tuple[str, ...]:
    """The object tags that a control tag may label."""
    if tag.tag == "Choices":
        return tuple(_READ)
    return ("Text",) if tag.tag == "Labels" else ("Image",)


def _control(tag: Element, objects: Mapping[str | None, Element]) -> Control:
    name, to_name = tag.get("name", ""), tag.get("toName", "")
    where = _where(tag)
    if not name or to_name not in objects:
        fitting = _read_by(tag)
        there = sorted(str(key) for key, found in objects.items() if found.tag in fitting)
        raise ConfigError(
            f"{where} needs a name and a toName that names an {' or '.join(fitting)} with a value; "
            f"toName is {to_name!r}, there are {there}."
        )
    labelled = objects[to_name]
    source = labelled.get("value", "")
    if not source.startswith("$"):
        raise ConfigError(
            f"{where} labels {to_name!r}, whose value {source!r} names no key of the "
            "task's data. Write it as $key."
        )
    choice = tag.get("choice", "single")
    if tag.tag == "Choices" and choice not in _CHOICE:
        raise ConfigError(f"{where} has choice={choice!r}; allowed is {', '.join(_CHOICE)}.")
    children = _children(tag)
    if not children:
        raise ConfigError(f"{where} has no <{_inside(tag)} value=...> inside.")
    return Control(
        tag=tag.tag,
        name=name,
        to_name=to_name,
        data_key=source.removeprefix("$"),
        reads=_READ[labelled.tag],
        by_url=labelled.get("valueType", "text").lower() == "url",
        labels=tuple(dict.fromkeys(_stored(child) for child in children)),
        predicted_values=_predicted_values(children) | _model_index(children, where),
        multiple=tag.tag == "Choices" and choice == "multiple",
        model_path=tag.get("model_path", ""),
        score_threshold=_threshold(tag, where),
    )


def _stored(child: Element) -> str:
    """What Label Studio writes into regions for a label: its alias, where it has one."""
    return child.get("alias", "") or child.get("value", "")


def _predicted_values(children: Sequence[Element]) -> dict[str, int]:
    index = {label: i for i, label in enumerate(dict.fromkeys(map(_stored, children)))}
    shown = {c.get("value", "").lower(): index[_stored(c)] for c in children if c.get("alias")}
    return shown | {
        name.strip().lower(): index[_stored(child)]
        for child in children
        for name in child.get("predicted_values", "").split(",")
        if name.strip()
    }


def _model_index(children: Sequence[Element], where: str) -> dict[str, int]:
    """The number of the model's key point that each label stands for, as the model names it."""
    index = {label: i for i, label in enumerate(dict.fromkeys(map(_stored, children)))}
    given = {child: child.get("model_index", "") for child in children}
    for child, number in given.items():
        if number and not (number.isdecimal() and len(number) <= _DIGITS):
            raise ConfigError(
                f"{where} has model_index={number[:80]!r} on label {_stored(child)!r}; "
                "allowed is the number of one of the model's key points, from 0."
            )
    return {str(int(number)): index[_stored(child)] for child, number in given.items() if number}


def _threshold(tag: Element, where: str) -> float | None:
    # `score_threshold` is the older name of the same attribute in the public YOLO backend.
    text = tag.get("model_score_threshold") or tag.get("score_threshold")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(f"{where} has model_score_threshold={text!r}; allowed is 0 to 1.")
    return value
