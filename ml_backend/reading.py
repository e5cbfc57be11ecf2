"""Images and texts of tasks, read ahead of the model and bounded in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from ml_backend.errors import MediaError
from ml_backend.inputs import TaskInputs
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.texts import check_texts
from ml_backend.predictors.base import Input

__all__ = ["FULL_PIXELS", "Reader", "Reading", "ahead"]

#: Pixels that are enough for one go: 32 pictures of a good camera, or two of the largest.
FULL_PIXELS: Final = 400_000_000

_Item = TypeVar("_Item")


class Reader(Protocol):
    """Where images or texts come from."""

    def read(self, tasks: Sequence[int], addresses: Sequence[str]) -> Sequence[Input | MediaError]:
        """Read one image or text per task."""
        ...


class Reading:
    """Reads what control tags label, each image or text of a task once for all of them.

    Args:
        inputs: the tasks.
        images: where images come from.
        texts: where texts that a task names by address come from.

    Attributes:
        pixels: of all images that were read.
    """

    def __init__(self, inputs: TaskInputs, images: Reader, texts: Reader) -> None:
        self.pixels = 0
        self._inputs = inputs
        self._images = images
        self._texts = texts
        self._read: dict[tuple[str, int], Input | MediaError] = {}

    def __call__(self, control: Control, rows: Sequence[int]) -> list[Input | MediaError]:
        """Return what a control tag labels in some tasks; what cannot be read is its error."""
        key = control.data_key
        new = [row for row in rows if (key, row) not in self._read]
        if new:
            for row, item in zip(new, self._items(control, new), strict=True):
                self._read[key, row] = item
                if not isinstance(item, str | MediaError):
                    self.pixels += item.shape[0] * item.shape[1]
        return [self._read[key, row] for row in rows]

    def _items(self, control: Control, rows: Sequence[int]) -> Sequence[Input | MediaError]:
        tasks = [int(self._inputs.id[row]) for row in rows]
        if control.reads == "text" and not control.by_url:
            values = [self._inputs.body[row]["data"].get(control.data_key) for row in rows]
            return check_texts(tasks, values)
        every = self._inputs.values(control.data_key)
        reader = self._images if control.reads == "image" else self._texts
        return reader.read(tasks, [every[row] for row in rows])


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the items, the next one being made while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
