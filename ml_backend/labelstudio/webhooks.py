"""The webhook that Label Studio makes with a model connection: its key, its copies, its payload.

With a payload, Label Studio writes out annotation, task and project inside the request of whoever
saved a label, which takes it as long as to save it. Without one, a header says the project.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from label_studio_sdk import LabelStudio

from ml_backend.errors import ProjectGoneError
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.relabel.batches import find_relabel_projects

__all__ = [
    "KEY_HEADER",
    "PROJECT_HEADER",
    "copy_webhook",
    "put_key",
    "webhook_key",
    "without_payload",
]

_log = logging.getLogger(__name__)

#: Label Studio sends a webhook's headers as they stand, and Basic auth with no event.
KEY_HEADER: Final = "X-Relook-Key"
PROJECT_HEADER: Final = "X-Relook-Project"
_ANSWERS: Final = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")


def webhook_key(password: str) -> str:
    """Return what an event shows in place of the password: people can read a webhook's headers."""
    return hmac.new(password.encode(), b"relook-webhook", hashlib.sha256).hexdigest()


def put_key(client: LabelStudio, project: int, user: str, password: str) -> int:
    """Put the key into the webhooks of a project's connections to us; return how many lacked it.

    Its relabel projects have copies of them. Ours are those that sign in as our user: no other
    backend is shown the key.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    key, put = webhook_key(password), 0
    with explained(f"putting the key into the webhook of project {project}"):
        connections = client.ml.list(project=project)
        ours = {_events_of(str(one.url)) for one in connections if one.basic_auth_user == user}
        copies = find_relabel_projects(client, project)
        every = [
            one for each in (project, *copies) for one in client.webhooks.list(project=str(each))
        ]
        for webhook in every:
            headers = dict(webhook.headers or {})
            if webhook.url in ours and webhook.id is not None and headers.get(KEY_HEADER) != key:
                client.webhooks.update(
                    id=webhook.id, url=str(webhook.url), headers={**headers, KEY_HEADER: key}
                )
                put += 1
    return put


def copy_webhook(client: LabelStudio, source: int, target: int) -> None:
    """Have the target's answers told to whom the source's annotations are told, without payload.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"connecting project {target} to the webhook of project {source}"):
        urls = {_events_of(str(one.url)) for one in client.ml.list(project=source)}
        known = {one.url for one in client.webhooks.list(project=str(target))}
        for webhook in client.webhooks.list(project=str(source)):
            if webhook.url not in urls:
                continue
            headers = webhook.headers or {}
            if PROJECT_HEADER not in headers and webhook.id is not None:
                named = {**headers, PROJECT_HEADER: str(source)}
                client.webhooks.update(id=webhook.id, url=webhook.url, headers=named)
            if webhook.url not in known:
                client.webhooks.create(
                    url=webhook.url,
                    project=target,
                    send_payload=False,
                    send_for_all_actions=False,
                    actions=cast(Any, list(_ANSWERS)),
                    headers={**headers, PROJECT_HEADER: str(target)},
                )


@contextmanager
def without_payload(client: LabelStudio, project: int) -> Iterator[None]:
    """Spare Label Studio the payload of a project's events while the body writes many annotations.

    Where it is never put back, events still arrive: they name the project.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"listing the webhooks of project {project}"):
        every = client.webhooks.list(project=str(project))
        ours = [one for one in every if PROJECT_HEADER in (one.headers or {})]

    def send_payload(wanted: bool) -> None:
        for one in ours:
            try:
                with explained(f"setting the payload of the webhook of project {project}"):
                    client.webhooks.update(id=int(one.id or 0), url=one.url, send_payload=wanted)
            except ProjectGoneError:
                _log.info("a webhook of project %s was deleted meanwhile", project)

    send_payload(False)
    try:
        yield
    finally:
        send_payload(True)


def _events_of(url: str) -> str:
    return f"{url.rstrip('/')}/webhook"
