"""A real HTTP proxy before a real server, that does to chosen requests what networks do."""

import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OF_ONE_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


def bare(body):
    """Take away from an import what Label Studio 1.23 loses of it where its SQLite is locked."""
    return json.dumps([{"data": task["data"]} for task in json.loads(body)]).encode()


@dataclass
class Fault:
    """What happens to requests whose "METHOD /path" a pattern finds.

    ``kind``: "status" (answered so, never passed on), "hang" (no answer for ``seconds``), "cut"
    (connection closed, never passed on), "cut answer" (passed on, then closed half way through the
    answer), "call" (``action`` is called first, then it is passed on), "change" (what ``action``
    makes of the body is passed on).
    """

    pattern: str
    kind: str
    times: int = 1
    status: int = 500
    headers: tuple = ()
    seconds: float = 0
    action: object = None
    met: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.proxy.due(f"{self.command} {self.path}")
        if fault is None:
            self.answer(*self.passed_on(body))
        else:
            getattr(self, "do_" + fault.kind.replace(" ", "_"))(fault, body)

    def do_status(self, fault, body):
        self.answer(fault.status, fault.headers, b'{"detail": "a fault"}')

    def do_hang(self, fault, body):
        time.sleep(fault.seconds)
        self.close_connection = True

    def do_cut(self, fault, body):
        self.close_connection = True

    def do_cut_answer(self, fault, body):
        status, headers, content = self.passed_on(body)
        self.answer(status, headers, content, sent=len(content) // 2)
        self.close_connection = True

    def do_call(self, fault, body):
        fault.action()
        self.answer(*self.passed_on(body))

    def do_change(self, fault, body):
        changed = fault.action(body)
        self.headers.replace_header("Content-Length", str(len(changed)))
        self.answer(*self.passed_on(changed))

    def passed_on(self, body):
        there = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            there.request(self.command, self.path, body, dict(self.headers.items()))
            answer = there.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            return 502, [("Content-Type", "text/plain")], b"Bad gateway"
        finally:
            there.close()

    def answer(self, status, headers, content, sent=None):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])

    def log_message(self, *_):
        pass


class FaultyProxy:
    """Passes everything on to ``port`` of 127.0.0.1, but what faults are waiting for."""

    def __init__(self, port):
        self.faults, self.requests = [], []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.proxy, self._server.port = self, port
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, pattern, kind, **more):
        fault = Fault(pattern, kind, **more)
        with self._lock:
            self.faults.append(fault)
        return fault

    def clear(self):
        with self._lock:
            self.faults.clear()
            self.requests.clear()

    def due(self, request):
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.met < fault.times and re.search(fault.pattern, request):
                    fault.met += 1
                    return fault
        return None

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
