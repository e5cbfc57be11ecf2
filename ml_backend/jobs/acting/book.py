"""What people did on the review page: each action as it stands, and what stood before it."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from ml_backend.jobs.queues.clock import now
from ml_backend.labelstudio.tasks.own_fields import OwnFields

__all__ = [
    "KEPT",
    "NOT_THERE",
    "UNDER_WAY",
    "Action",
    "ActionBook",
    "Lot",
    "Wish",
]

#: States that end by themselves; the others are done, failed and undone.
UNDER_WAY: Final = ("queued", "doing", "undoing")

#: Why tasks are left out that were deleted, or are another project's.
NOT_THERE: Final = "not in this project"

_KEPT_S: Final = 7 * 24 * 3600
#: Actions of a project that are kept; older ones are forgotten with what they named.
KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done.

    Attributes:
        action: flag, clear, tag, untag, batch, approve, sync, withdraw or take-back.
        tasks: with these tasks.
        regions: with these regions: task, and place in its list of human regions under ``control``.
        shown: as what their tasks were seen: task, when its labels were written last, seconds since
            1970, and how many regions it had under ``control``. Places hold for these alone.
        tag: the tag to set or to take away.
        to: where a batch goes, as ``jobs.batches.orders.Order`` has it.
        confidence: from where the model's word is enough to approve.
        control: name of the control tag that regions are counted under.
        top: how many from the top of the queue a batch takes where no tasks are named, as
            ``jobs.batches.orders.Order`` has it.
        kinds: which kinds of findings it takes then.
        batch: the batch to withdraw, or of approvals to take back.
    """

    action: str
    tasks: tuple[int, ...] = ()
    regions: tuple[tuple[int, int], ...] = ()
    shown: tuple[tuple[int, float, int], ...] = ()
    tag: str = ""
    to: str = ""
    confidence: float = 1.0
    control: str = ""
    top: int | None = None
    kinds: tuple[str, ...] = ()
    batch: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """An action as it stands.

    Attributes:
        id: the action.
        project: Label Studio's project id.
        action: what is done, as ``Wish`` has it.
        state: queued, doing, done, failed, undoing or undone.
        done: tasks done.
        total: tasks it is about.
        said: what came of it, in plain words.
        by: who asked for it, as Label Studio names them.
        ended: when it was done or failed, seconds since 1970; 0 while it goes on.
        undoable: whether it can be undone now.
        batch: the batch that it made, or took back; "" for none.
        counted: how many tasks of a batch of approvals tries to take it back have come to.
        taken: how many approvals they found there.
    """

    id: str
    project: int
    action: str
    state: str
    done: int
    total: int
    said: str
    by: str
    ended: float
    undoable: bool
    batch: str
    counted: int
    taken: int


@dataclass(frozen=True, slots=True)
class Lot:
    """Some tasks that an action changed.

    Attributes:
        before: task id to Relook's own fields as they stood.
        wrote: task id to what the action put there.
    """

    before: dict[int, OwnFields]
    wrote: dict[int, OwnFields]


class ActionBook:
    """Where actions are written down.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def open(self, project: int, wish: Wish, total: int, by: str = "") -> Action:
        """Write down a new action."""
        action = secrets.token_hex(6)
        fields = {
            **{"project": project, "action": wish.action, "state": "queued", "done": 0},
            **{"total": total, "said": "", "by": by, "ended": 0, "undoable": 0, "batch": ""},
        }
        said = {name: getattr(wish, name) for name in Wish.__slots__}
        with self._redis.pipeline() as pipe:
            pipe.hset(_key(action), mapping=cast(Any, fields))
            pipe.set(_wish(action), _packed(said), ex=_KEPT_S)
            pipe.expire(_key(action), _KEPT_S)
            pipe.lpush(_of(project), action)
            pipe.lrange(_of(project), KEPT, -1)
            pipe.ltrim(_of(project), 0, KEPT - 1)
            pipe.expire(_of(project), _KEPT_S)
            pipe.zadd(_WAITING, {action: now(self._redis)})
            done = pipe.execute()
        for old in (one.decode() for one in cast(list[bytes], done[4])):
            self._redis.delete(_key(old), _wish(old), _before(old))
        return self.read(action)

    def read(self, action: str) -> Action:
        """Return an action as it stands.

        Raises:
            KeyError: when there is none.
        """
        raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_key(action)))
        if not raw:
            raise KeyError(f"there is no action {action!r}")
        return _stands(action, raw)

    def wish(self, action: str) -> Wish:
        """Return what an action is to do.

        Raises:
            KeyError: when that is not known any more.
        """
        packed = cast(bytes | None, self._redis.get(_wish(action)))
        if packed is None:
            raise KeyError(f"there is no action {action!r}")
        said = _unpacked(packed)
        said["tasks"] = tuple(said["tasks"])
        for name in ("regions", "shown"):
            said[name] = tuple(tuple(one) for one in said.get(name, ()))
        said["kinds"] = tuple(said.get("kinds", ()))
        return Wish(**said)

    def note(self, action: str, **changed: str | float) -> None:
        """Change what stands of an action: state, done, total, said, undoable, batch and so on."""
        if changed.get("state", UNDER_WAY[0]) not in UNDER_WAY:
            changed["ended"] = now(self._redis)
        if self._redis.exists(_key(action)):
            self._redis.hset(_key(action), mapping=cast(Any, changed))

    def note_waiting(self, action: str) -> None:
        """Note that an action waits for a worker from now on."""
        self._redis.zadd(_WAITING, {action: now(self._redis)})

    def waiting(self, after_s: float) -> list[Action]:
        """Return what has been under way for so many seconds; forget of the rest that it was."""
        due = now(self._redis) - after_s
        found = []
        for one in cast(list[bytes], self._redis.zrangebyscore(_WAITING, "-inf", due)):
            raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_key(one.decode())))
            if raw and (stands := _stands(one.decode(), raw)).state in UNDER_WAY:
                found.append(stands)
            else:
                self._redis.zrem(_WAITING, one)
        return found

    def claim_undo(self, action: str) -> bool:
        """Note that an action is being undone; false where it cannot be, or somebody is at it."""
        # First: should this process die in between, the worker finds it all the same.
        self.note_waiting(action)
        claimed = self._redis.eval(_CLAIM, 1, _key(action))
        return bool(claimed)

    def fail(self, action: str, why: str) -> None:
        """Note that an action failed; one that was being taken back can be taken back again."""
        state, stood = cast(list[bytes], self._redis.hmget(_key(action), ["state", "stood"]))
        if state == b"undoing":
            self.note(action, state=stood.decode(), said=f"Not taken back: {why}", undoable=1)
        else:
            self.note(action, state="failed", said=why)

    def of_project(self, project: int) -> list[Action]:
        """Return a project's actions that are kept, the newest first."""
        found = cast(list[bytes], self._redis.lrange(_of(project), 0, -1))
        ids = [one.decode() for one in found]
        # In one exchange: each page that looks asks once a second.
        with self._redis.pipeline(transaction=False) as pipe:
            for one in ids:
                pipe.hgetall(_key(one))
            raws = cast(list[Mapping[bytes, bytes]], pipe.execute())
        return [_stands(one, raw) for one, raw in zip(ids, raws, strict=True) if raw]

    def keep_lot(self, action: str, number: int, lot: Lot) -> None:
        """Keep what some tasks were, before they are changed."""
        with self._redis.pipeline() as pipe:
            pipe.hset(_before(action), str(number), _packed([lot.before, lot.wrote]))
            pipe.expire(_before(action), _KEPT_S)
            pipe.execute()

    def lot(self, action: str, number: int) -> Lot | None:
        """Return what some tasks were; None where nothing was kept."""
        packed = cast(bytes | None, self._redis.hget(_before(action), str(number)))
        if packed is None:
            return None
        before, wrote = _unpacked(packed)
        return Lot(*({int(task): own for task, own in some.items()} for some in (before, wrote)))

    def lots(self, action: str) -> list[int]:
        """Return the numbers of an action's lots, ascending."""
        keys = cast(list[bytes], self._redis.hkeys(_before(action)))
        return sorted(map(int, keys))


_WAITING: Final = "relook:actions-waiting"
_CLAIM: Final = """
if redis.call('HGET', KEYS[1], 'undoable') ~= '1' then return 0 end
local stood = redis.call('HGET', KEYS[1], 'state')
if stood ~= 'done' and stood ~= 'failed' then return 0 end
redis.call('HSET', KEYS[1], 'undoable', '0', 'state', 'undoing', 'stood', stood)
redis.call('HSET', KEYS[1], 'done', '0', 'ended', '0')
return 1
"""


def _stands(action: str, raw: Mapping[bytes, bytes]) -> Action:
    field = {key.decode(): value.decode() for key, value in raw.items()}
    return Action(
        id=action,
        project=int(field["project"]),
        action=field["action"],
        state=field["state"],
        done=int(field["done"]),
        total=int(field["total"]),
        said=field["said"],
        by=field.get("by", ""),
        ended=float(field.get("ended", 0)),
        undoable=field["undoable"] == "1" and field["state"] not in UNDER_WAY,
        batch=field.get("batch", ""),
        counted=int(field.get("counted", 0)),
        taken=int(field.get("taken", 0)),
    )


def _packed(said: Any) -> bytes:
    return zlib.compress(json.dumps(said).encode(), 1)


def _unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


def _key(action: str) -> str:
    return f"relook:action:{action}"


def _wish(action: str) -> str:
    return f"relook:action:{action}:wish"


def _before(action: str) -> str:
    return f"relook:action:{action}:before"


def _of(project: int) -> str:
    return f"relook:actions-of:{project}"
