"""The webhook that Label Studio makes with a model connection: is it there, is its key in it?"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.batches import find_relabel_projects
from ml_backend.labelstudio.client import explained

__all__ = ["KEY_HEADER", "put_key", "webhook_key"]

#: Label Studio sends a webhook's headers as they stand, and Basic auth with no event.
KEY_HEADER: Final = "X-Relook-Key"


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


def _events_of(url: str) -> str:
    return f"{url.rstrip('/')}/webhook"
