"""What the token's user may change in a project, asked or tried so that nothing is left behind."""

from __future__ import annotations

from typing import Final

import httpx
from label_studio_sdk import LabelStudio

from ml_backend.checks.finding import Findings
from ml_backend.errors import TokenRefusedError
from ml_backend.labelstudio.bulk import run_action
from ml_backend.labelstudio.client import access_headers, explained

__all__ = ["check_rights"]

_TIMEOUT_S: Final = 10.0
#: No task has this id.
_NO_TASK: Final = 0
#: What Relook writes, and where it must be offered; ``{}`` is the project.
_WRITTEN: Final = {
    "predictions": ("POST", "/api/projects/{}/import/predictions"),
    "single predictions": ("POST", "/api/predictions/"),
    "tabs": ("POST", "/api/dm/views/?project={}"),
    "webhooks": ("POST", "/api/webhooks/?project={}"),
    "the project": ("PUT", "/api/projects/{}/"),
}
_MEND: Final = (
    "give the user of LABEL_STUDIO_API_KEY a role in Label Studio that may change the project, or "
    "take the token of another user"
)


def check_rights(found: Findings, client: LabelStudio, url: str, project: int, prefix: str) -> None:
    """Look whether Relook may write what it writes into a project.

    Args:
        found: the report.
        client: a signed-in client.
        url: Label Studio's address.
        project: the project.
        prefix: what the names of Relook's own fields begin with.
    """
    what = f"project {project}: rights"
    with found.of(what):
        refused = [] if _may_write_fields(client, project, prefix) else ["fields of tasks"]
        with explained(f"asking what may be changed in project {project}"):
            headers = access_headers(client)
            with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S) as http:
                refused += [
                    name
                    for name, (method, path) in _WRITTEN.items()
                    if not _offered(http, method, path.format(project))
                ]
        if refused:
            found.add(what, False, f"may not write {', '.join(refused)}: {_MEND}")
            return
        written = ", ".join(_WRITTEN)
        said = f"may write fields of tasks, {written}; annotations and deletions were not tried"
        found.add(what, True, said)


def _may_write_fields(client: LabelStudio, project: int, prefix: str) -> bool:
    """Write a field of no task: rights are looked at first."""
    try:
        with explained(f"writing a field of no task of project {project}"):
            body = {"value_name": f"{prefix}_flag", "value_type": "String", "value": ""}
            run_action(client, project, "add_data_field", [_NO_TASK], body=body)
    except TokenRefusedError:
        return False
    return True


def _offered(http: httpx.Client, method: str, path: str) -> bool:
    """Ask which methods this user is offered: Label Studio looks at rights and changes nothing."""
    answer = http.options(path)
    if answer.status_code == httpx.codes.FORBIDDEN:
        return False
    return method in answer.raise_for_status().json().get("actions", {})
