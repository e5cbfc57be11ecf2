"""Answers that take long are made once for all who ask meanwhile."""

from __future__ import annotations

import anyio
import pytest

from ml_backend.web.kept import Kept


def asked_together(kept: Kept[int], *projects: int) -> list[int]:
    answers: list[int] = []

    async def ask(project: int) -> None:
        answers.append((await kept.get(project)).answer)

    async def every() -> None:
        async with anyio.create_task_group() as group:
            for project in projects:
                group.start_soon(ask, project)

    anyio.run(every)
    return answers


def test_those_who_ask_while_it_is_made_get_the_same_answer():
    made: list[int] = []

    async def make(project: int) -> int:
        await anyio.sleep(0.01)
        made.append(project)
        return 10 * project + len(made)

    kept = Kept(make, 0.0)
    assert sorted(asked_together(kept, 1, 1, 1, 2)) == [11, 11, 11, 22]
    assert made == [1, 2]
    assert asked_together(kept, 1) == [13]


def test_an_answer_is_kept_for_a_while_and_no_failure_is():
    tries: list[int] = []

    async def make(project: int) -> int:
        tries.append(project)
        if len(tries) == 1:
            raise ValueError("away")
        return len(tries)

    kept = Kept(make, 600.0)
    with pytest.raises(ExceptionGroup):
        asked_together(kept, 1)
    assert asked_together(kept, 1) == [2]
    assert asked_together(kept, 1, 2) == [2, 3]


def test_who_is_content_with_an_earlier_answer_gets_it_for_ten_times_what_it_took():
    made: list[int] = []

    async def make(project: int) -> int:
        await anyio.sleep(0.1)
        made.append(project)
        return len(made)

    kept = Kept(make, 0.0)

    async def ask() -> list[int]:
        first = await kept.get(1)
        earlier = [await kept.get(1, lately=lately) for lately in (True, False, True)]
        # On a full machine it took longer than it slept.
        await anyio.sleep(10 * earlier[1].took + 0.2)
        assert int(first.age["Age"]) >= 1
        return [one.answer for one in (first, *earlier, await kept.get(1, lately=True))]

    assert anyio.run(ask) == [1, 1, 2, 2, 3]
