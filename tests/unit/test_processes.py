"""Ports for servers that take a while to bind them."""

import socket

from ml_backend.processes import free_port, remembered_port


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
