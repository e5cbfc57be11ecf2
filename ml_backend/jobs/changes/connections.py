"""A project's connections to us: none, one, or several whose settings differ.

Label Studio tells nobody of a connection that is removed, and leaves its webhook. But to list a
project's connections it calls /setup of each: ours are those that reach us meanwhile.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final, cast

from label_studio_sdk import LabelStudio

from ml_backend.errors import SettingsError
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.client import explained

__all__ = ["Connections"]

_log = logging.getLogger(__name__)

_SEVERAL: Final = "relook:several-connections"
#: Longer than Label Studio takes to list a project's connections.
_HEARD_S: Final = 600
#: Label Studio's word for a connection whose backend has just answered.
_ANSWERED: Final = "CO"


class Connections:
    """What is known of one project's connections to us.

    Args:
        mailbox: the service's queues.
        project: the project.
    """

    def __init__(self, mailbox: Mailbox, project: int) -> None:
        self._mailbox = mailbox
        self._redis = mailbox.redis
        self._project = project
        self._heard = f"relook:setups-heard:{project}"

    def hear(self, extra_params: Any) -> None:
        """Note that a connection with these extra params called /setup."""
        with self._redis.pipeline() as pipe:
            pipe.sadd(self._heard, _text(extra_params))
            pipe.expire(self._heard, _HEARD_S)
            pipe.execute()

    @property
    def differ(self) -> str:
        """What is wrong and the mend where connections differ in their extra params; else ""."""
        if not self._redis.sismember(_SEVERAL, str(self._project)):
            return ""
        return (
            f"project {self._project} has several connections to Relook with different extra "
            "params; those of the oldest hold. Remove the others in Settings > Model and save again"
        )

    def require_known(self, extra_params: Any) -> None:
        """Refuse other extra params than those that hold, while connections differ in theirs.

        Raises:
            SettingsError: when they are others.
        """
        held = _text(self._mailbox.setup_of(self._project)[1])
        if (said := self.differ) and _text(extra_params) != held:
            self._mailbox.reconcile_soon(self._project, refused=True)
            raise SettingsError(said)

    def look(self, client: LabelStudio) -> bool:
        """Have Label Studio name the project's connections; return whether one may be ours.

        Where several differ, the oldest one's settings hold from now on.

        Raises:
            LabelStudioError: when they cannot be listed.
        """
        # Two looks at a time would forget what the other has heard.
        with self._mailbox.lock(self._project, "connections"):
            self._redis.delete(self._heard)
            with explained(f"listing the model connections of project {self._project}"):
                every = sorted(client.ml.list(project=self._project), key=lambda one: one.id or 0)
            heard = {one.decode() for one in cast(set[bytes], self._redis.smembers(self._heard))}
        ours = [one.extra_params for one in every if _text(one.extra_params) in heard]
        self._note(ours)
        # One that did not answer, or that we refused, cannot be told from another backend.
        return bool(heard) or any(str(one.state) != _ANSWERED for one in every)

    def _note(self, ours: list[Any]) -> None:
        several = len(set(map(_text, ours))) > 1
        if ours and (several or self.differ):
            self._mailbox.remember_setup(self._project, ours[0])
        if several:
            self._redis.sadd(_SEVERAL, str(self._project))
            _log.warning("%s", self.differ)
        else:
            self._redis.srem(_SEVERAL, str(self._project))


def _text(extra_params: Any) -> str:
    return json.dumps(extra_params, sort_keys=True)
