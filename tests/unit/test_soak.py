"""When the soak says that memory grows."""

import numpy as np
import pytest

from benchmarks.soak import still_growing

#: How the backend fills its caches: what it held after so many minutes, see docs/benchmarks.md.
MINUTES = [0, 6, 12, 18, 24, 60]
WARMED = [1094, 1369, 1446, 1463, 1472, 1484]


def held(minutes, leak_an_hour, noise=0.0, seed=0):
    """A moment every five seconds; noise is the allocator's, which comes and goes."""
    at = np.arange(0, 60 * minutes + 1, 5.0)
    wobble = np.random.default_rng(seed).normal(0, noise, len(at))
    size = np.interp(at / 60, MINUTES, WARMED) + leak_an_hour * at / 3600 + wobble
    return [
        (second, {"backend": one, "worker": 1300.0})
        for second, one in zip(at.tolist(), size.tolist(), strict=True)
    ]


@pytest.mark.parametrize("minutes", [5, 15, 60, 480])
@pytest.mark.parametrize("noise", [0.0, 30.0])
def test_filling_caches_and_noise_are_no_growth(minutes, noise):
    for seed in range(10):
        assert still_growing(held(minutes, 0, noise, seed)) == []


@pytest.mark.parametrize(("minutes", "leak"), [(5, 6000), (60, 120), (480, 80)])
def test_a_process_that_lets_nothing_go_is_named(minutes, leak):
    (said,) = still_growing(held(minutes, leak, 20.0))
    assert said.startswith("backend by at least")


def test_a_moment_of_much_memory_is_no_growth():
    memory = held(60, 0, 5.0)
    for second, sizes in memory[-5:]:
        memory[memory.index((second, sizes))] = (second, {**sizes, "backend": 4000.0})
    assert still_growing(memory) == []


def test_too_few_moments_say_nothing():
    assert still_growing(held(0, 0)) == []
