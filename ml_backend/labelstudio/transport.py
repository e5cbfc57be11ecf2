"""The last mile to Label Studio: what may safely be sent again is sent again.

The SDK would repeat any request on any error 5xx, also one that writes: a bulk import of
predictions whose answer got lost would be there twice. Here only what changes nothing is repeated
when nobody knows what became of it; for what writes, the job is run again, which reads what stands
and writes the difference. Connections that were never made, and requests that Label Studio put
off (429, 503 with Retry-After), are repeated whatever they are.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable
from typing import Final

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

__all__ = ["PatientTransport"]

#: Patience within a job; the job itself is then tried again for half an hour.
_TRIES: Final = 5
_PATIENCE_S: Final = 30.0
_LONGEST_S: Final = 15.0
#: Requests under way at once, all threads of this process together.
_AT_ONCE: Final = 8

_READS: Final = ("GET", "HEAD", "OPTIONS")
_REFRESH: Final = "/api/token/refresh/"
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PUT_OFF: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class PatientTransport(httpx.BaseTransport):
    """Sends requests, again where that is safe, and with a fresh token where the old is refused.

    Args:
        fresh_token: gets a new access token, for when Label Studio refuses the one in use before
            its time: it was restarted with another key, or its clock is ahead of ours.
        transport: what sends; the network unless a test says otherwise.
    """

    def __init__(
        self,
        fresh_token: Callable[[], str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.fresh_token = fresh_token
        self._transport = transport or httpx.HTTPTransport()
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._wait = wait_random_exponential(multiplier=0.5, max=_LONGEST_S)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: when it cannot be sent or answered in time.
        """
        request.read()
        answer = self._persist(request)
        if answer.status_code != httpx.codes.UNAUTHORIZED or not self._can_renew(request):
            return answer
        answer.close()
        assert self.fresh_token is not None  # noqa: S101 - asked by _can_renew
        request.headers["Authorization"] = f"Bearer {self.fresh_token()}"
        return self._persist(request)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _persist(self, request: httpx.Request) -> httpx.Response:
        read = request.method in _READS or request.url.path.endswith(_REFRESH)

        def worth_another_try(error: BaseException) -> bool:
            return isinstance(error, httpx.TransportError if read else _NEVER_SENT)

        def put_off(answer: httpx.Response) -> bool:
            if read:
                return answer.is_server_error or answer.status_code in _PUT_OFF
            return answer.status_code in _PUT_OFF and "Retry-After" in answer.headers

        tries = Retrying(
            stop=stop_after_attempt(_TRIES) | stop_after_delay(_PATIENCE_S),
            wait=self._pause,
            retry=retry_if_exception(worth_another_try) | retry_if_result(put_off),
            before_sleep=_let_go,
            # The last answer or error is what the caller gets, whatever it is.
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return tries(self._send, request)

    def _send(self, request: httpx.Request) -> httpx.Response:
        with self._free:
            answer = self._transport.handle_request(request)
            # Read here: an answer half way through counts as under way, and may break off too.
            # But a file, as an export is one, may be larger than memory: its reader reads it.
            if "attachment" not in answer.headers.get("Content-Disposition", ""):
                answer.read()
        return answer

    def _can_renew(self, request: httpx.Request) -> bool:
        bearer = request.headers.get("Authorization", "").startswith("Bearer ")
        return bearer and self.fresh_token is not None and not request.url.path.endswith(_REFRESH)

    def _pause(self, state: RetryCallState) -> float:
        asked = 0.0
        if state.outcome is not None and not state.outcome.failed:
            asked = _retry_after(state.outcome.result())
        return min(max(asked, self._wait(state)), _LONGEST_S)


def _let_go(state: RetryCallState) -> None:
    if state.outcome is not None and not state.outcome.failed:
        state.outcome.result().close()


def _retry_after(answer: httpx.Response) -> float:
    """Return how many seconds Label Studio, or what stands before it, asks to wait."""
    said = answer.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    moment = email.utils.parsedate_tz(said)
    return max(email.utils.mktime_tz(moment) - time.time(), 0.0) if moment else 0.0
