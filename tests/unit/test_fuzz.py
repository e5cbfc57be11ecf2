"""A bounded, repeatable part of what ``make fuzz`` tries."""

from collections import defaultdict

import pytest

from tests import fuzzing
from tests.fuzzing_requests import Sent, opened
from tests.made_project import PROJECT, TASKS

ACT = ("POST", "/api/projects/{project}/actions")
OF_TASKS = ("flag", "clear", "tag", "untag", "batch", "approve")

#: What says nothing of what lies behind: not signed in, malformed, too many, Label Studio away.
BEFORE = {401, 422, 429, 503}


@pytest.mark.parametrize(
    ("kind", "count"), [("configs", 300), ("settings", 200), ("images", 300), ("tasks", 10)]
)
def test_bad_input_has_only_named_errors(kind, count):
    strategy, check = fuzzing.TARGETS[kind]
    assert fuzzing.run(strategy, check, count, derandomize=True) >= count / 2


def test_no_request_is_an_error_of_the_server(tmp_path):
    with opened(tmp_path) as requests:
        for route in requests.routes:
            assert fuzzing.run(requests.to(route), requests.check, 8, derandomize=True)
        # Few made-up bodies are an action: each kind once as it should be.
        each = [
            *((action, {"tasks": list(TASKS)}) for action in OF_TASKS),
            ("batch", {"queue": {"top": 2}}),
            ("approve", {"filter": {"conjunction": "and", "items": []}}),
            *((action, {}) for action in ("sync", "withdraw", "take-back")),
        ]
        for action, what in each:
            options = {"tag": "odd", "batch": f"{PROJECT}-ab"}
            body = {"action": action, **what, "options": options}
            for more in ({}, {"dry_run": True}):
                asked = {**body, "options": {**body["options"], **more}}
                path = ACT[1].replace("{project}", str(PROJECT))
                requests.check(Sent(ACT, path, {"json": asked}))
    reached = defaultdict(set)
    for route, status in requests.answers:
        reached[route].add(status)
    behind = {route for route in requests.routes if "{project}" in route[1]}
    assert len(behind) >= 19
    assert {route: reached[route] for route in behind if not reached[route] - BEFORE} == {}
