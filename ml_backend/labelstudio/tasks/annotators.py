"""Who made annotations, and what Label Studio calls them."""

from __future__ import annotations

from typing import Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.bodies import author, parts
from ml_backend.labelstudio.tasks.reader import TaskPage

__all__ = ["NOBODY", "made_by", "names_of_people"]

#: An annotation that was imported without a name.
NOBODY: Final = -1


def made_by(page: TaskPage) -> NDArray[np.int64]:
    """Return the user who made each current annotation, int64 (A,); ``NOBODY`` where none did."""
    known = {
        one["id"]: author(one) for task in page.inputs.body for one in parts(task, "annotations")
    }
    found = [known.get(annotation) for annotation in page.annotations.id.tolist()]
    return np.array([NOBODY if user is None else user for user in found], dtype=np.int64)


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
