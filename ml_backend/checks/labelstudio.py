"""Label Studio as Relook meets it: address, token, connections, events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from ml_backend.checks.finding import Findings
from ml_backend.checks.rights import check_rights
from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.jobs.changes.connections import Connections
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.reader import read_project
from ml_backend.labelstudio.webhooks import KEY_HEADER, webhook_key
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from ml_backend.web.api.settings import check_names

__all__ = ["check_address", "check_label_studio", "check_project", "check_token"]

_TIMEOUT_S: Final = 10.0
#: Label Studio with a queue of its own sends events in the background.
_EVENT_S: Final = 15.0
_OLDEST: Final = (1, 13)
#: Older ones were not tried.
_TRIED: Final = (1, 23)
_LIFT: Final = (
    "set USE_DEFAULT_BANNED_SUBNETS=false in Label Studio's environment (and name in "
    "USER_ADDITIONAL_BANNED_SUBNETS what must stay banned), or give Relook a public address"
)
_SCRATCH: Final = """<View><Image name="image" value="$image"/>
<Choices name="choice" toName="image"><Choice value="yes"/></Choices></View>"""


def check_label_studio(found: Findings, settings: ServiceSettings) -> bool:
    """Ask for Label Studio's version; return whether it is there."""
    url = settings.label_studio_url.rstrip("/")
    if not url:
        found.add("Label Studio", False, "LABEL_STUDIO_URL is not set: name its address")
        return False
    try:
        answer = httpx.get(f"{url}/api/version", timeout=_TIMEOUT_S, follow_redirects=True)
        version = str(answer.raise_for_status().json()["release"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        found.add(
            "Label Studio",
            False,
            f"{url} does not answer as Label Studio ({error}); check LABEL_STUDIO_URL, and the "
            "firewall and the proxy on the way from this machine",
        )
        return False
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < _OLDEST:
        said = f"{url}, version {version}: Relook needs {'.'.join(map(str, _OLDEST))} or newer"
        found.add("Label Studio", False, said)
        return True
    untried = parts < _TRIED
    hint = f": older than {'.'.join(map(str, _TRIED))}, which Relook is tested with" * untried
    found.add("Label Studio", None if untried else True, f"{url}, version {version}{hint}")
    return True


def check_token(found: Findings, services: Services) -> LabelStudio | None:
    """Sign in and see what the token's user may do; return the client where it is let in."""
    with found.of("token"):
        client = services.client
        with explained("asking who the token's user is"):
            email = str(client.users.whoami().email)
            listed: Any = client.projects.list(page_size=1)
            count = len(listed.items or [])
        sees = "projects" if count else "no project yet"
        found.add("token", True, f"signs in as {email}, who sees {sees}")
        return client
    return None


def check_project(found: Findings, services: Services, project: int, events: bool = True) -> None:
    """Look at one connected project: rights, connection, webhook, settings, model, an event."""
    what = f"project {project}"
    with found.of(what):
        opened = read_project(services.client, project)
        settings = services.mailbox.settings_of(project)
        check_names(settings, opened.config, services.settings)
        served = services.choice.served(opened.config, settings)
        for control in served.controls:
            services.embedders.embedder(control, settings)
        version = services.choice.version(project, served, settings)
        said = f"model {version or 'of predictions that stand in Label Studio'} is loaded"
        found.add(what, True, said)
        url, prefix = services.settings.label_studio_url, settings.field_prefix
        check_rights(found, services.client, url, project, prefix)
        connections = Connections(services.mailbox, project)
        if connections.look(services.client) and connections.differ:
            found.add(f"{what}: connections", False, connections.differ)
        if _check_webhook(found, services, project) and events:
            _check_event(found, services.mailbox, services.client, project)


def check_address(found: Findings, services: Services, address: str) -> None:
    """Connect a project that is made for it and deleted again to Relook at an address."""
    what = f"connecting {address}"
    with found.of(what), _scratch_project(services.client) as project:
        _connect(services, project, address.rstrip("/"))
        found.add(what, True, "Label Studio reaches Relook there")
        if _check_webhook(found, services, project, what):
            _check_event(found, services.mailbox, services.client, project, what)
        services.mailbox.forget_setup(project)


@contextmanager
def _scratch_project(client: LabelStudio) -> Iterator[int]:
    with explained("making a project to try the connection with"):
        made = client.projects.create(title="Relook doctor (is deleted)", label_config=_SCRATCH)
    project = int(made.id or 0)
    try:
        yield project
    finally:
        with explained("deleting the project that the connection was tried with"):
            client.projects.delete(id=project)


def _connect(services: Services, project: int, address: str) -> None:
    settings, secret = services.settings, services.settings.basic_auth_pass
    login: dict[str, Any] = {}
    if secret is not None:
        login = {
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": settings.basic_auth_user,
            "basic_auth_pass": secret.get_secret_value(),
        }
    try:
        services.client.ml.create(
            project=project,
            url=address,
            title="Relook doctor",
            extra_params={"model": "existing:doctor"},
            **login,
        )
    except ApiError as error:
        said = str(error.body)[:300]
        if "reserved network" in said or "block" in said:
            raise SettingsError(f"Label Studio refuses private addresses: {_LIFT}") from error
        raise LabelStudioError(
            f"Label Studio cannot connect ({said}); see that Relook listens where Label Studio's "
            "machine can reach it (RELOOK_HOST=0.0.0.0, the firewall)"
        ) from error


def _check_webhook(
    found: Findings, services: Services, project: int, of: str | None = None
) -> bool:
    what = f"{of or f'project {project}'}: webhook"
    with explained(f"listing the webhooks of project {project}"):
        connections = services.client.ml.list(project=project)
        webhooks = services.client.webhooks.list(project=str(project))
    urls = {f"{str(one.url).rstrip('/')}/webhook" for one in connections}
    if not connections:
        mend = "add it in Label Studio under Settings > Model"
        found.add(what, False, f"the project has no model connection any more; {mend}")
        return False
    ours = [one for one in webhooks if one.url in urls]
    if not ours:
        mend = "then remove the model connection and add it again"
        found.add(
            what, False, f"Label Studio made none, as it refuses the address: {_LIFT}; {mend}"
        )
        return False
    if not any(one.is_active for one in ours):
        mend = "switch it on in Label Studio under Settings > Webhooks"
        found.add(what, False, f"it is switched off; {mend}")
        return False
    return of is not None or _check_key(found, services.settings, ours, what)


def _check_key(found: Findings, settings: ServiceSettings, ours: list[Any], what: str) -> bool:
    if settings.basic_auth_pass is None:
        return True
    key = webhook_key(settings.basic_auth_pass.get_secret_value())
    if all((one.headers or {}).get(KEY_HEADER) == key for one in ours):
        return True
    mend = (
        "set Basic auth in the model connection with RELOOK_BASIC_AUTH_USER and its password; "
        "a worker then puts the key in"
    )
    found.add(what, False, f"it lacks the key that lets events in; {mend}")
    return False


def _check_event(
    found: Findings, mailbox: Mailbox, client: LabelStudio, project: int, of: str | None = None
) -> None:
    """Have Label Studio send an event that changes nothing, and see it arrive."""
    what = f"{of or f'project {project}'}: events"
    before = mailbox.heard(project)
    deadline = time.monotonic() + _EVENT_S
    while time.monotonic() < deadline:
        # Saving nothing is an event all the same. Redis' clock is read in seconds.
        with explained(f"saving project {project} as it is"):
            client.projects.update(id=project)
        for _ in range(15):
            if mailbox.heard(project) > before:
                found.add(what, True, "arrive")
                return
            time.sleep(0.2)
    found.add(
        what,
        False,
        "do not arrive: see that Label Studio's machine reaches the webhook's address, and that "
        "the backend and this command have the same REDIS_URL",
    )
