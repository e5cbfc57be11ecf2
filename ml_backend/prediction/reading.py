"""Images and texts of tasks, read ahead of the model and bounded in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import numpy as np

from ml_backend.errors import MediaError
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.files.images import RGB
from ml_backend.labelstudio.files.media import Fetched
from ml_backend.labelstudio.files.texts import check_texts
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.predictors.base import Input

__all__ = ["FULL_PIXELS", "Images", "Reading", "Room", "Texts", "ahead"]

#: Pixels that are enough for one go: 32 pictures of a good camera, or two of the largest.
FULL_PIXELS: Final = 400_000_000

_Item = TypeVar("_Item")


class Images(Protocol):
    """Where images come from; how large one is shows before it is decoded."""

    def fetch_all(
        self, tasks: Sequence[int], addresses: Sequence[str]
    ) -> Sequence[Fetched | MediaError]:
        """Fetch one file per task."""
        ...

    def decode_all(self, files: Sequence[Fetched]) -> Sequence[RGB | MediaError]:
        """Decode files."""
        ...


class Texts(Protocol):
    """Where texts come from that tasks name by address."""

    def read(self, tasks: Sequence[int], addresses: Sequence[str]) -> Sequence[str | MediaError]:
        """Read one text per task."""
        ...


class Room:
    """Memory that all calls of a process share, in pixels; who asks first is served first.

    Nobody may wait for room for images while holding some for others that nobody works on.

    Args:
        size: pixels. More than that gets in alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._held: dict[object, int] = {}

    @property
    def taken(self) -> int:
        """Pixels that are taken."""
        return sum(self._held.values())

    def take(self, ticket: object, pixels: int) -> None:
        """Wait until there is room, and take it in the name of ``ticket``."""
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(pixels))
                self._held[ticket] = pixels
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def give_back(self, ticket: object) -> None:
        """Give back what was taken in the name of ``ticket``, if anything was."""
        with self._changed:
            self._held.pop(ticket, None)
            self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        return not self._held or self.taken + pixels <= self._size


class Reading:
    """Reads what control tags label in some tasks, each image or text once for all of them.

    Images are fetched, then as many decoded as fit, and let go by ``close``.

    Args:
        inputs: the tasks.
        images: where images come from.
        texts: where texts that a task names by address come from.
        room: for decoded images.
    """

    def __init__(self, inputs: TaskInputs, images: Images, texts: Texts, room: Room) -> None:
        self._inputs = inputs
        self._images = images
        self._texts = texts
        self._room = room
        self._fetched: dict[tuple[str, int], Fetched] = {}
        self._read: dict[tuple[str, int], Input | MediaError] = {}

    def fetch(self, control: Control, rows: Sequence[int]) -> None:
        """Fetch what a control tag labels in some tasks."""
        key = control.data_key
        known = self._read.keys() | self._fetched.keys()
        new = [row for row in rows if (key, row) not in known]
        for row, item in zip(new, self._items(control, new), strict=True):
            if isinstance(item, Fetched):
                self._fetched[key, row] = item
            else:
                self._read[key, row] = item

    def decode(self) -> int:
        """Decode the images of as many tasks as fit, one at least, and return how many tasks."""
        pixels = np.zeros(len(self._inputs), dtype=np.int64)
        for (_, row), file in self._fetched.items():
            pixels[row] += file.pixels
        count = max(1, int(np.searchsorted(np.cumsum(pixels), FULL_PIXELS, side="right")))
        files = {place: file for place, file in self._fetched.items() if place[1] < count}
        try:
            if files:
                self._room.take(self, int(pixels[:count].sum()))
            images = self._images.decode_all(list(files.values()))
            self._read.update(zip(files, images, strict=True))
            self._fetched.clear()
        except BaseException:
            self.close()
            raise
        return count

    def __call__(self, control: Control, rows: Sequence[int]) -> list[Input | MediaError]:
        """Return what was read of a control tag's tasks; what cannot be read is its error."""
        return [self._read[control.data_key, row] for row in rows]

    def read(self, control: Control, rows: Sequence[int]) -> list[Input | MediaError]:
        """Read what a control tag labels in a few tasks, all at once, however large it is."""
        items = self._items(control, rows)
        files = [item for item in items if isinstance(item, Fetched)]
        images = iter(self._images.decode_all(files))
        return [next(images) if isinstance(item, Fetched) else item for item in items]

    def sizes(
        self, control: Control, rows: Sequence[int]
    ) -> Iterator[tuple[int, int] | MediaError]:
        """Yield width and height of images that need not have been fetched before."""
        key = control.data_key
        unread = [row for row in rows if (key, row) not in self._read]
        fetched = dict(zip(unread, self._items(control, unread), strict=True))
        for row in rows:
            item = fetched.pop(row) if row in fetched else self._read[key, row]
            if isinstance(item, Fetched):
                # One after the other, so that nobody waits for room while holding some.
                (item,) = self._images.decode_all([item])
            if isinstance(item, MediaError):
                yield item
            elif not isinstance(item, str):
                yield item.shape[1], item.shape[0]

    def close(self) -> None:
        """Let the images go."""
        self._read.clear()
        self._room.give_back(self)

    def _items(
        self, control: Control, rows: Sequence[int]
    ) -> Sequence[Fetched | Input | MediaError]:
        tasks = [int(self._inputs.id[row]) for row in rows]
        if control.reads == "text" and not control.by_url:
            said = self._inputs.said(control.data_key)
            return check_texts(tasks, [said[row] for row in rows])
        every = self._inputs.values(control.data_key)
        addresses = [every[row] for row in rows]
        if control.reads == "image":
            return self._images.fetch_all(tasks, addresses)
        return self._texts.read(tasks, addresses)


def ahead(items: Iterator[_Item], drop: Callable[[_Item], None]) -> Generator[_Item]:
    """Yield the items, the next one being made while one is worked on.

    Args:
        items: what to make; no item is None.
        drop: takes an item that was made and is not wanted any more.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, items, None)
        try:
            while (item := coming.result()) is not None:
                coming = pool.submit(next, items, None)
                yield item
        except BaseException:
            # Also where a job's time limit interrupts the wait.
            if coming.exception() is None and (unwanted := coming.result()) is not None:
                drop(unwanted)
            raise
