"""A bounded, repeatable part of what ``make fuzz`` tries."""

import pytest

from tests import fuzzing


@pytest.mark.parametrize(
    ("kind", "count"), [("configs", 300), ("settings", 200), ("images", 300), ("tasks", 10)]
)
def test_bad_input_has_only_named_errors(kind, count):
    strategy, check = fuzzing.TARGETS[kind]
    assert fuzzing.run(strategy, check, count, derandomize=True) >= count / 2


def test_no_request_is_an_error_of_the_server(tmp_path):
    with fuzzing.opened(tmp_path) as client:
        requests = fuzzing.requests_of(client.get("/api/openapi.json").json())
        tried = fuzzing.run(
            requests, lambda one: fuzzing.check_request(client, one), 100, derandomize=True
        )
        assert tried >= 50
        assert client.get("/health").status_code == 200
