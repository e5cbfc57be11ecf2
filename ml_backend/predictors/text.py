"""Text models by transformers: spans from token classifiers, classes from sequence classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch

from analysis.geometry import ragged
from ml_backend.errors import ModelError
from ml_backend.outlines import Geometry, Outlines
from ml_backend.predictors import files
from ml_backend.predictors.base import SCORE_FLOOR, Input, Predictions
from ml_backend.predictors.hub import model_folder
from ml_backend.predictors.text_files import load
from ml_backend.predictors.text_forward import TextForward
from ml_backend.predictors.text_pieces import Windows, cut_windows, find_words, split
from ml_backend.predictors.text_tags import read_scheme

__all__ = ["TextPredictor"]

#: Characters that are split into pieces in one go: what bounds the memory.
_CHARACTERS: Final = 1 << 20


class TextPredictor:
    """A token or sequence classifier.

    A tagger's spans are all those that it gives some chance, each with its probability; words are
    tagged by their first piece, and texts longer than the model's window are read in overlapping
    windows. A classifier reads as much of a text's beginning as its window holds.

    Args:
        name: as settings have it, ``transformers:NAME``. NAME is a folder below the model folder,
            or else a name on the Hugging Face hub.
        folder: the model folder.
        threads: CPU threads of the model; 0 leaves it to PyTorch, one per core.
        downloads: the hub may be asked; without it no connection is ever opened.

    Raises:
        ModelError: when it cannot be loaded or is made for another task.
    """

    reads: Literal["image", "text"] = "text"
    joints: tuple[str, ...] = ()

    def __init__(self, name: str, folder: Path, threads: int = 0, downloads: bool = False) -> None:
        path = _locate(name, folder, downloads)
        self.version = files.version(name, path)
        if threads:
            torch.set_num_threads(threads)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = load(path, device)
        self._tokenizer = self._model.tokenizer.backend_tokenizer
        self._forward = TextForward(self._model, device)
        self.serves: frozenset[Geometry] = frozenset({self._model.kind})
        self.classes = self._model.labels
        if self._model.kind == "span":
            try:
                self._scheme = read_scheme(self._model.labels)
            except ValueError as error:
                raise ModelError(f"model {path.name!r}: {error}; set id2label") from error
            self.classes = self._scheme.classes
        # One text shows whether weights and tokenizer fit together.
        self.predict(["A"], self._model.kind)

    @staticmethod
    def version_of(name: str, folder: Path, downloads: bool = False) -> str:
        """Return the version of a model without loading it: name and digest of all its files.

        Raises:
            ModelError: when there is no such model.
        """
        return files.version(name, _locate(name, folder, downloads))

    def predict(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        """Predict texts; see ``Predictor``.

        A text without a piece (empty, or blank) has no spans, and classes that are all alike.
        """
        texts = [item for item in items if isinstance(item, str)]
        if geometry not in self.serves or len(texts) < len(items):
            raise ModelError(
                f"model {self.version} finds {'spans' if self._model.kind == 'span' else 'classes'}"
                f" of texts, not {geometry} of {'texts' if len(texts) == len(items) else 'images'}"
            )
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        predict = self._spans if geometry == "span" else self._classes
        try:
            return Predictions.concatenate(
                [predict(texts[rows]) for rows in ragged.blocks(lengths, _CHARACTERS)]
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(f"model {self.version} failed on a batch: {error}") from error

    def _spans(self, texts: Sequence[str]) -> Predictions:
        pieces = split(self._tokenizer, texts)
        probs = self._forward.tags(pieces.ids, cut_windows(pieces.offsets, self._forward.size))
        words = find_words(pieces, texts)
        found = self._scheme.spans(probs[words.piece], words.offsets, SCORE_FLOOR)
        places = np.column_stack([words.start[found.first], words.end[found.last]])
        return Predictions(
            size=np.zeros((len(texts), 2), dtype=np.int32),
            item=np.searchsorted(words.offsets, found.first, side="right") - 1,
            label=found.label,
            score=found.score,
            outline=Outlines.of_table(places),
            probs=np.empty((len(texts), 0), dtype=np.float32),
        )

    def _classes(self, texts: Sequence[str]) -> Predictions:
        # Of a text without a word nothing is said.
        probs = np.zeros((len(texts), len(self.classes)), dtype=np.float32)
        pieces = split(self._tokenizer, texts)
        rows = np.flatnonzero(np.diff(pieces.offsets))
        begin = pieces.offsets[rows]
        end = np.minimum(pieces.offsets[rows + 1], begin + self._forward.size)
        probs[rows] = self._forward.classes(pieces.ids, Windows(begin, end, begin, end))
        return Predictions.of_classes(probs)


def _locate(name: str, folder: Path, downloads: bool) -> Path:
    return model_folder(folder, name.removeprefix("transformers:"), downloads=downloads)
