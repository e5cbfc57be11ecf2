"""Ports for servers that take a while to bind them, and how such a server is asked."""

import os
import socket
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from urllib.request import proxy_bypass

import httpx
import pytest

from ml_backend.processes import free_port, remembered_port, spare_loopback_the_proxy


def test_a_free_port_is_never_given_to_an_outgoing_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        outgoing = [socket.create_connection(server.getsockname()) for _ in range(50)]
        first = min(one.getsockname()[1] for one in outgoing)
        ports = {free_port() for _ in range(50)}
        for one in outgoing:
            one.close()
    assert max(ports) < first
    assert len(ports) > 40


def test_a_remembered_port_is_kept_until_somebody_else_listens_there(tmp_path):
    file = tmp_path / "folder" / "port"
    port = remembered_port(file)
    assert remembered_port(file) == port
    with socket.create_server(("127.0.0.1", port)):
        other = remembered_port(file)
    assert other != port
    assert remembered_port(file) == other


@pytest.mark.parametrize("spelt", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_asked_for_what_is_on_this_machine(monkeypatch, spelt):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv(spelt, "inner.example")
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(httpx.ConnectError):
        httpx.head(url)
    spare_loopback_the_proxy()
    spare_loopback_the_proxy()
    assert httpx.head(url).is_success
    assert os.environ["no_proxy"] == "inner.example,localhost,127.0.0.1,::1"
    server.shutdown()


def test_who_asks_no_proxy_for_anything_still_asks_none(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "*")
    spare_loopback_the_proxy()
    assert proxy_bypass("inner.example")
