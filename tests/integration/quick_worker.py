"""A real worker that loses patience sooner than in life, so that a fault costs seconds.

Run with ``python -m tests.integration.quick_worker``.
"""

import logging

from ml_backend.jobs.queues import pulse

pulse.BEAT_S, pulse.LAPSE_S, pulse.SWEEP_S = 0.5, 4, 1

# ruff: noqa: E402 - the others take these over as they are imported
from ml_backend.jobs.queues import limit
from ml_backend.labelstudio import client

limit._RETRY_SECONDS[:] = [1, 2, 3, *[4] * 40]
client._TIMEOUT_S = 4.0

import ml_backend.jobs.actions
import ml_backend.jobs.events
import ml_backend.jobs.work
import ml_backend.predictors.yolo  # noqa: F401 - what jobs import otherwise
from ml_backend.jobs.worker import work
from ml_backend.settings import service_settings


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    work(service_settings())


if __name__ == "__main__":
    main()
