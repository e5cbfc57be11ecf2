"""Tests, against the real thing: Label Studio, Redis, RQ workers, Chromium."""

# Ultralytics reads its surroundings once, at its first import, and some tests import it first.
import ml_backend.predictors  # noqa: F401
