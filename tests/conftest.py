"""For all tests alike."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long something takes is measured in benchmarks/, never in a test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: They take minutes, so they begin first: which begins last is waited for while others idle.
_LONG = (
    *("integration/test_faults", "unit/test_engine", "integration/test_batch_faults"),
    *("integration/test_demo", "unit/test_faults", "integration/test_docs", "integration/"),
    "page/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        found = (at for at, name in enumerate(_LONG) if f"tests/{name}" in item.nodeid)
        return next(found, len(_LONG))

    items.sort(key=place)
