"""Waiting for what another thread does."""

import time


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the other thread has not come so far in 60 s"
        time.sleep(0.001)
