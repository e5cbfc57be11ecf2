"""Who made annotations, and what Label Studio calls them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.reader import TaskPage

__all__ = ["NOBODY", "made_by", "names_of_people"]

#: An annotation that was imported without a name.
NOBODY: Final = -1


def made_by(page: TaskPage) -> NDArray[np.int64]:
    """Return the user who made each current annotation, int64 (A,); ``NOBODY`` where none did."""
    known = {
        int(_field(one, "id")): _user(_field(one, "completed_by"))
        for task in page.inputs.body
        for one in task.get("annotations") or []
    }
    ids = [known.get(annotation, NOBODY) for annotation in page.annotations.id.tolist()]
    return np.array(ids, dtype=np.int64)


def names_of_people(client: LabelStudio) -> dict[int, str]:
    """Return what to call each user.

    Raises:
        LabelStudioError: when they cannot be listed.
    """
    with explained("listing the users"):
        people = client.users.list()
    return {
        int(one.id): one.email or one.username or str(one.id)
        for one in people
        if one.id is not None
    }


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)


def _user(said: Any) -> int:
    # One Label Studio names the user, another describes them.
    found = said if isinstance(said, int) else _field(said, "id") if said is not None else None
    return int(found) if found is not None else NOBODY
