"""For all tests alike."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long something takes is measured in benchmarks/, never in a test. What is drawn is the same
# each time: `make fuzz` looks for what nobody has met.
settings.register_profile(
    "relook", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("relook")

#: They take minutes, so they begin first: which begins last is waited for while others idle.
_LONG = (
    *("integration/test_faults", "unit/test_engine", "integration/test_batch_faults"),
    *("integration/test_demo", "unit/test_faults", "integration/test_docs", "integration/"),
    "page/",
)


#: The same fault in one more place, up to three minutes each: `--thorough` asks for them.
_ONCE_MORE = (
    *("answers_come_back_is_made_up_for[answers]", "answers_come_back_is_made_up_for[clearing]"),
    *("step_over_the_project_is_made_up_for[listing]", "made_up_for[finishing]"),
    *("in_its_writes_is_made_up_for[suggestions]", "made_up_for[the first field]"),
    *("costs_nothing_but_time[listing]", "costs_nothing_but_time[finishing]"),
    *("no_number_of_stops_ends_a_run[predicting]", "the_run_goes_on[fitting]"),
    *("redis_writes_nothing_late[False]", "delay_no_retry[-3]", "sends_nothing_twice[2]"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="faults in every place")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (at for at, name in enumerate(_LONG) if f"tests/{name}" in item.nodeid)
        return next(found, len(_LONG))

    items.sort(key=place)
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.nodeid.endswith(_ONCE_MORE)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.nodeid.endswith(_ONCE_MORE)]
