"""For all tests alike."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long something takes is measured in benchmarks/, never in a test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
