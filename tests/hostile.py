"""A real HTTP server whose every page is an ML backend that misbehaves in a way of its own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POISON = 3  # The one task that some backends cannot bear.
MIB = b" " * (1 << 20)


def prediction(score=0.7):
    return {
        "result": [
            {
                "from_name": "digit",
                "to_name": "image",
                "type": "choices",
                "value": {"choices": ["7"]},
                "score": score,
            }
        ],
        "score": score,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        _, kind, page = self.path.split("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.owner.asked.append(self.path)
        self.server.owner.headers.append(dict(self.headers))
        try:
            if page == "setup" and not kind.startswith("setup_"):
                self.json({"model_version": f"{kind}-1"})
            else:
                getattr(self, kind.removeprefix("setup_"))(body.get("tasks", []))
        except OSError:
            pass  # They hung up on us, as they should.

    def log_message(self, *_):
        pass

    def begin(self, status=200, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def send(self, content, status=200, kind="application/json"):
        self.begin(status, len(content), Content_Type=kind)
        self.wfile.write(content)

    def json(self, value, status=200):
        self.send(json.dumps(value).encode(), status)

    def good(self, tasks):
        self.json({"results": [prediction() for _ in tasks], "model_version": "good-2"})

    def hang(self, tasks):
        self.server.owner.over.wait(60)

    def drip(self, tasks):
        self.begin()
        while not self.server.owner.over.wait(0.1):
            self.wfile.write(b" ")

    def drip_head(self, tasks):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.owner.over.wait(0.1):
            self.wfile.write(b"X-A: b\r\n")

    def endless(self, tasks):
        self.begin(Content_Type="application/json")
        while not self.server.owner.over.is_set():
            self.wfile.write(MIB)

    def bomb(self, tasks):
        self.begin(Content_Encoding="gzip", Content_Type="application/json")
        self.wfile.write(b"\x1f\x8b")

    def html(self, tasks):
        self.send(b"<html>Sign in</html>", kind="text/html; charset=utf-8")

    def text(self, tasks):
        self.send(b"\xff\xfeOK, but not JSON")

    def nested(self, tasks):
        self.send(b'{"results": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")

    def fails(self, tasks):
        self.json({"detail": "ValueError: no weights"}, 500)

    def one_short(self, tasks):
        self.json({"results": [prediction() for _ in tasks[1:]]})

    def no_results(self, tasks):
        self.json({"predictions": []})

    def a_list(self, tasks):
        self.json([prediction() for _ in tasks])

    def other_schema(self, tasks):
        self.json({"results": [{"boxes": [[0, 0, 1, 1]]} for _ in tasks]})

    def strings(self, tasks):
        self.json({"results": ["cat" for _ in tasks]})

    def redirect(self, tasks):
        self.begin(307, 0, Location=f"{self.server.owner.url('good')}/predict")

    def nowhere(self, tasks):
        self.begin(302, 0)

    def missing(self, tasks):
        self.json({}, 404)

    def user(self, tasks):
        if "Authorization" in self.headers:
            self.good(tasks)
        else:
            self.json({}, 401)

    def breaks_off(self, tasks):
        self.begin(200, 1000)
        self.wfile.write(b"{")
        self.close_connection = True

    def not_http(self, tasks):
        self.wfile.write(b"HELLO\r\n\r\n")
        self.close_connection = True

    # What is wrong with one task only.
    def per_task(self, tasks, wrong):
        said = [wrong if task["id"] == POISON else prediction() for task in tasks]
        self.json({"results": said})

    def nan(self, tasks):
        self.per_task(tasks, prediction(float("nan")))

    def infinite(self, tasks):
        wrong = prediction()
        wrong["result"][0]["value"]["x"] = float("-inf")
        self.per_task(tasks, wrong)

    def beyond(self, tasks):
        self.per_task(tasks, prediction(87.5))

    def nameless(self, tasks):
        self.per_task(tasks, {"result": [{"type": "choices", "value": {}}]})

    def surrogate(self, tasks):
        wrong = prediction()
        wrong["result"][0]["from_name"] = "\ud800"
        self.per_task(tasks, wrong)

    def poisoned(self, tasks):
        if POISON in [task["id"] for task in tasks]:
            self.json({"detail": "KeyError: 'image'"}, 500)
        else:
            self.good(tasks)

    def slow_on_one(self, tasks):
        if POISON in [task["id"] for task in tasks]:
            self.server.owner.over.wait(10)
        self.good(tasks)

    def forgetful(self, tasks):
        # One prediction per /setup.
        if self.server.owner.asked[-2] == "/forgetful/setup":
            self.good(tasks)
        else:
            self.json({"detail": "ValueError: Model is not loaded"}, 500)

    def silent(self, tasks):
        said = [None if task["id"] == POISON else prediction() for task in tasks]
        self.json({"results": said})

    def several(self, tasks):
        said = [prediction(0.2), prediction(0.9), prediction(0.4)]
        self.json({"results": [said for _ in tasks]})


class HostileServer:
    """Asked as ``url("hang")`` and so on; ``asked`` are the pages that were asked for."""

    def __init__(self):
        self.asked = []
        self.headers = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"

    def url(self, kind):
        return f"http://{self.host}/{kind}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
