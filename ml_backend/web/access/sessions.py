"""Who is signed in to the review page.

A session's cookie is one random secret. Redis holds the person's Label Studio token encrypted with
a key that follows from the secret, under a name that follows from it too, and forgets both after a
while: neither Redis nor a copy of it opens a session.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Final, cast

import redis
from cryptography.fernet import Fernet, InvalidToken

__all__ = ["SESSION_S", "Attempts", "Session", "Sessions"]

#: A working day; then the token is asked for again.
SESSION_S: Final = 12 * 3600
_SECRET_BYTES: Final = 32
_LONGEST: Final = 100

#: So many refused tokens from one address, each within this time of the one before, and the
#: address waits. Only time ends that: a guesser may have one token that is accepted.
_MOST_REFUSED: Final = 10
_WAIT_S: Final = 900


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in.

    Attributes:
        token: their Label Studio token.
        user: Label Studio's id of them.
        name: what to call them.
        email: their address.
    """

    token: str
    user: int
    name: str
    email: str


class Sessions:
    """Where sessions are kept.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def open(self, session: Session) -> str:
        """Keep a session; return the secret that its cookie holds, a new one each time."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        sealed = Fernet(_key(secret)).encrypt(json.dumps(asdict(session)).encode())
        self._redis.set(_name(secret), sealed, ex=SESSION_S)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return a session, None where there is none or it has ended."""
        if not secret or len(secret) > _LONGEST:
            return None
        sealed = cast(bytes | None, self._redis.get(_name(secret)))
        if sealed is None:
            return None
        try:
            return Session(**json.loads(Fernet(_key(secret)).decrypt(sealed, ttl=SESSION_S)))
        except (InvalidToken, TypeError, ValueError):
            return None

    def close(self, secret: str) -> None:
        """End a session."""
        if secret and len(secret) <= _LONGEST:
            self._redis.delete(_name(secret))


class Attempts:
    """Refused credentials by address: who guesses has to wait.

    Args:
        connection: the service's Redis.
        of: what is guessed; each kind is counted by itself.
    """

    def __init__(self, connection: redis.Redis, of: str = "") -> None:
        self._redis = connection
        self._of = of

    def wait_s(self, address: str) -> int:
        """Return for how many seconds an address has to wait, 0 for none."""
        name = self._refused(address)
        if self._redis.scard(name) < _MOST_REFUSED:
            return 0
        return max(self._redis.ttl(name), 1)

    def note(self, address: str, guess: str) -> None:
        """Count one refused credential; the same one again, of a forgotten script, is no guess."""
        digest = hashlib.blake2b(
            guess.encode("utf-8", "replace"), digest_size=8, person=b"relook-guess"
        )
        name = self._refused(address)
        with self._redis.pipeline() as pipe:
            pipe.sadd(name, digest.digest())
            # From the newest on; who waits is not heard, so waiting does not prolong it.
            pipe.expire(name, _WAIT_S)
            pipe.execute()

    def _refused(self, address: str) -> str:
        return f"relook:refused:{self._of}{_network(address)}"


def _name(secret: str) -> str:
    return f"relook:session:{hashlib.blake2b(secret.encode(), person=b'relook-name').hexdigest()}"


def _key(secret: str) -> bytes:
    made = hashlib.blake2b(secret.encode(), digest_size=32, person=b"relook-key")
    return base64.urlsafe_b64encode(made.digest())


def _network(address: str) -> str:
    """Of IPv6, one subscriber has a whole network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:_LONGEST]
    if found.version == 6:
        return str(ipaddress.ip_network(f"{found}/64", strict=False))
    return address
