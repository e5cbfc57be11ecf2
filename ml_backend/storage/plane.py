"""Where a project's inputs and regions lie on a plane, near what looks like them: for the eye."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.storage.store import Store

__all__ = ["Part", "Plane", "get_plane", "put_plane"]

#: Whole inputs, or regions of them.
Part = Literal["inputs", "regions"]

_COLUMNS: Final = ("task", "region", "x", "y", "digest", "outlier")


@dataclass(frozen=True, slots=True)
class Plane:
    """Where R inputs or regions lie.

    Attributes:
        task: int64 (R,), task ids.
        region: str (R,), where the region is in its image, see ``embedding.places``; "" for a
            whole input.
        x: float32 (R,).
        y: float32 (R,).
        digest: int64 (R,), stands for what was laid out.
        outlier: float32 (R,), how far out each lies among the others' vectors, in [0, 1].
    """

    task: NDArray[np.int64]
    region: NDArray[np.str_]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    digest: NDArray[np.int64]
    outlier: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.task)

    @property
    def version(self) -> str:
        """What is another one whenever something lies elsewhere."""
        said = hashlib.blake2b(digest_size=6)
        for column in (self.task, self.x, self.y):
            said.update(column.tobytes())
        return said.hexdigest()


def put_plane(store: Store, project: int, control: str, part: Part, plane: Plane) -> None:
    """Keep a plane; the older one is replaced."""
    arrays = {name: getattr(plane, name) for name in _COLUMNS}
    store.put_arrays(project, _name(control, part), arrays)


def get_plane(store: Store, project: int, control: str, part: Part) -> Plane | None:
    """Return a control tag's plane, None where none is kept."""
    arrays: Mapping[str, Any] | None = store.get_arrays(project, _name(control, part))
    if arrays is None or set(arrays) != set(_COLUMNS):
        return None
    return Plane(**{name: arrays[name] for name in _COLUMNS})


def _name(control: str, part: Part) -> str:
    """Hashed, because people choose tags' names."""
    return f"plane-{part}-{hashlib.sha256(control.encode()).hexdigest()[:16]}"
