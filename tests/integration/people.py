"""People beside the admin: signed up by invitation, working in sessions of their own."""

from __future__ import annotations

import re
import secrets
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
from label_studio_sdk import LabelStudio

from ml_backend.demo.labelstudio import find_label_studio
from ml_backend.labelstudio.client import access_headers

if TYPE_CHECKING:
    from tests.integration.conftest import Bench

OTHER_ORGANIZATION = """
from users.models import User
from organizations.models import Organization
user = User.objects.get(pk={user})
user.active_organization = Organization.create_organization(created_by=user, title="Others")
user.save(update_fields=["active_organization"])
"""


class Person:
    """Somebody with a browser session.

    Args:
        client: the admin's client, for the invitation.
        url: Label Studio's address.
        name: the part of the mail address that tells people apart.
    """

    def __init__(self, client: LabelStudio, url: str, name: str) -> None:
        address = f"{url}/api/invite"
        invite = httpx.get(address, headers=access_headers(client), timeout=60).json()["invite_url"]
        self.session = httpx.Client(base_url=url, follow_redirects=True, timeout=120)
        self._headers = {"Referer": url}
        self._sign_up(invite, name)
        if not (known := self.session.get("/api/current-user/whoami")).is_success:
            # A first try of the same test has taken the name.
            self._sign_up(invite, f"{name}-{secrets.token_hex(3)}")
            known = self.session.get("/api/current-user/whoami")
        self.id = int(known.json()["id"])

    def _sign_up(self, invite: str, name: str) -> None:
        page = self.session.get(invite).text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found is not None, "Label Studio's sign-up page has no CSRF token"
        form = {
            "csrfmiddlewaretoken": found[1],
            "email": f"{name}@relook.example",
            "password": f"only-for-tests-{name}",
            "allow_newsletters": "",
        }
        self.session.post(invite, data=form, headers=self._headers).raise_for_status()

    def opens(self, address: str) -> int:
        """Open an address; return the status."""
        return self.session.get(address).status_code

    def next_task(self, project: int) -> dict[str, Any]:
        """Ask the label stream for the next task."""
        answer = self.session.get(f"/api/projects/{project}/next")
        answer.raise_for_status()
        return answer.json()

    def queue(self, project: int, tab: int) -> list[int]:
        """List the tasks of a tab as it shows them."""
        answer = self.session.get("/api/tasks/", params={"project": project, "view": tab})
        answer.raise_for_status()
        return [int(task["id"]) for task in answer.json()["tasks"]]

    def submit(self, task: int, result: list[dict], **more: Any) -> dict[str, Any]:
        """Submit an annotation."""
        body = {"result": result, "lead_time": 2.5, **more}
        return self._write("POST", f"/api/tasks/{task}/annotations/", body)

    def update(self, annotation: int, result: list[dict]) -> dict[str, Any]:
        """Save an annotation again."""
        return self._write("PATCH", f"/api/annotations/{annotation}/", {"result": result})

    def draft(self, task: int, project: int, result: list[dict]) -> None:
        """Begin an annotation without submitting it."""
        self._write("POST", f"/api/tasks/{task}/drafts?project={project}", {"result": result})

    def accept_all(self, project: int) -> None:
        """Take every pre-label of a project for an annotation."""
        body = {"selectedItems": {"all": True, "excluded": []}}
        address = f"/api/dm/actions?id=predictions_to_annotations&project={project}"
        self._write("POST", address, body)

    def make_token(self) -> str:
        """Make a personal access token; Label Studio lets everybody have one."""
        return str(self._write("POST", "/api/token/", {})["token"])

    def revoke(self, token: str) -> None:
        """Revoke a personal access token."""
        self._write("POST", "/api/token/blacklist/", {"refresh": token})

    def _write(self, method: str, address: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {**self._headers, "X-CSRFToken": self.session.cookies.get("csrftoken") or ""}
        answer = self.session.request(method, address, json=body, headers=headers)
        assert answer.is_success, f"{address}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else {}


def access_of(url: str, token: str) -> dict[str, str]:
    """Return the headers that a personal access token buys."""
    bought = httpx.post(f"{url}/api/token/refresh/", json={"refresh": token}, timeout=60)
    return {"Authorization": f"Bearer {bought.raise_for_status().json()['access']}"}


def stranger(bench: Bench, name: str) -> str:
    """Return the token of somebody who belongs to another organization."""
    person = Person(bench.client, bench.server.url, name)
    token = person.make_token()
    shell = [str(find_label_studio()), "shell"]
    script = OTHER_ORGANIZATION.format(user=person.id)
    environment = bench.server._environment()
    subprocess.run(shell, input=script, text=True, env=environment, check=True, timeout=120)
    return token
