"""Windows of pieces through a text model: batches of like lengths in, probabilities out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ml_backend.predictors.text_files import TextModel
from ml_backend.predictors.text_pieces import Windows

__all__ = ["TextForward"]

#: Pieces of a batch, padding included.
_BATCH: Final = {"cpu": 4096, "cuda": 32768}

_Rows = NDArray[np.int64]
#: Takes the windows of a batch, the piece in each place (W, L), and its probabilities.
_Keep = Callable[[_Rows, _Rows, torch.Tensor], None]


class TextForward:
    """Runs a text model.

    Args:
        model: where it comes from; its tokenizer must neither cut nor pad.
        device: where the model is.
    """

    def __init__(self, model: TextModel, device: torch.device) -> None:
        self._model = model
        self._device = device
        # What each window stands between: [CLS] and [SEP], <s> and </s>, or nothing.
        probe = model.tokenizer.backend_tokenizer.encode("a")
        content = [place for place, mark in enumerate(probe.special_tokens_mask) if not mark]
        first, last = (content[0], content[-1]) if content else (len(probe.ids), len(probe.ids))
        ids, types = np.array(probe.ids, np.int64), np.array(probe.type_ids, np.int64)
        self._ids = ids[:first], ids[last + 1 :]
        self._types = types[:first], types[last + 1 :]
        self._type = int(types[first]) if content else 0
        takes = inspect.signature(model.network.forward).parameters
        self._typed = "token_type_ids" in takes and (
            "token_type_ids" in model.tokenizer.model_input_names
        )

    @property
    def size(self) -> int:
        """Most pieces of a window, special ones not counted."""
        return self._model.window - sum(len(part) for part in self._ids)

    def tags(self, ids: _Rows, windows: Windows) -> NDArray[np.float32]:
        """Return the tag probabilities of each piece, float32 (T, K).

        Args:
            ids: int64 (T,), pieces of all texts.
            windows: windows that speak for every piece.

        Raises:
            ArithmeticError: when what the model gives is not finite.
        """
        probs = np.zeros((len(ids), len(self._model.labels)), dtype=np.float32)

        def keep(chosen: _Rows, rows: _Rows, chances: torch.Tensor) -> None:
            own = (rows >= windows.keep[chosen, None]) & (rows < windows.until[chosen, None])
            probs[rows[own]] = chances[torch.from_numpy(own).to(self._device)].cpu().numpy()

        self._run(ids, windows, keep)
        return probs

    def classes(self, ids: _Rows, windows: Windows) -> NDArray[np.float32]:
        """Return the class probabilities of each window, float32 (W, K).

        Raises:
            ArithmeticError: when what the model gives is not finite.
        """
        probs = np.zeros((len(windows.begin), len(self._model.labels)), dtype=np.float32)

        def keep(chosen: _Rows, rows: _Rows, chances: torch.Tensor) -> None:
            probs[chosen] = chances.cpu().numpy()

        self._run(ids, windows, keep)
        return probs

    @torch.inference_mode()
    def _run(self, ids: _Rows, windows: Windows, keep: _Keep) -> None:
        tokenizer = self._model.tokenizer
        for chosen in self._batches(windows):
            begin, end = windows.begin[chosen], windows.end[chosen]
            length = end - begin + sum(len(part) for part in self._ids)
            width = int(length.max())
            # Where a model reads the last place, padding must not stand there.
            shift = (width - length) * (tokenizer.padding_side == "left")
            column = np.arange(width) - shift[:, None]
            filled = (column >= 0) & (column < length[:, None])
            parts = [ids[low:high] for low, high in zip(begin, end, strict=True)]
            given = {
                "input_ids": _framed(parts, self._ids, filled, tokenizer.pad_token_id),
                "attention_mask": filled.astype(np.int64),
            }
            if self._typed:
                same = [np.full(len(part), self._type) for part in parts]
                given["token_type_ids"] = _framed(
                    same, self._types, filled, tokenizer.pad_token_type_id
                )
            keep(chosen, column - len(self._ids[0]) + begin[:, None], self._chances(given))

    def _batches(self, windows: Windows) -> Iterator[_Rows]:
        """Windows of like lengths, the longest first: if memory is short it shows at once."""
        length = windows.end - windows.begin
        order = np.argsort(-length, kind="stable")
        at = 0
        while at < len(order):
            width = int(length[order[at]]) + sum(len(part) for part in self._ids)
            count = max(_BATCH[self._device.type] // width, 1)
            yield order[at : at + count]
            at += count

    def _chances(self, given: dict[str, NDArray[Any]]) -> torch.Tensor:
        tensors = {name: torch.from_numpy(table).to(self._device) for name, table in given.items()}
        network = self._model.network
        logits = network(**tensors).logits.float()
        if not torch.isfinite(logits).all() and network.dtype == torch.float16:
            # Some models are too large in their numbers for float16; they stay in float32 then.
            logits = network.float()(**tensors).logits
        if not torch.isfinite(logits).all():
            raise ArithmeticError("it gives numbers that are not finite; train or save it again")
        chances: torch.Tensor = logits.sigmoid() if self._model.multiple else logits.softmax(-1)
        return chances


def _framed(
    parts: Sequence[_Rows], frame: tuple[_Rows, _Rows], filled: NDArray[np.bool_], padding: int
) -> _Rows:
    table = np.full(filled.shape, padding, dtype=np.int64)
    before, after = frame
    table[filled] = np.concatenate([piece for part in parts for piece in (before, part, after)])
    return table
