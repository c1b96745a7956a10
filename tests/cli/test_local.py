import socket

import pytest

from segue.cli.local import Found, find_server
from tests.loopback import HANG, in_thread, whole

PATIENT = 5.0


def port_of(server):
    return int(server.url.split(":")[2].split("/")[0])


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound, and nobody listens


def test_a_server_that_lists_models_is_found_with_its_first_that_can_chat(closed_port):
    with in_thread(whole({"object": "list", "data": [{"id": "nomic-embed-text"}, {"id": "qwen3:8b"}]})) as server:
        found = find_server([("ollama", closed_port), ("vllm", port_of(server))], patience=PATIENT)
    assert found == Found("vllm", f"http://127.0.0.1:{port_of(server)}/v1", "qwen3:8b")
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/models")]
    assert "authorization" not in server.requests[0].headers


def test_of_several_servers_the_first_in_order_is_taken():
    with in_thread(whole({"data": [{"id": "one"}]})) as first, in_thread(whole({"data": [{"id": "two"}]})) as second:
        found = find_server([("ollama", port_of(first)), ("vllm", port_of(second))], patience=PATIENT)
    assert found is not None
    assert found.model == "one"


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"<html>a web server</html>", content_type="text/html"),
        whole({"data": "text"}),
        whole({"data": [{"name": "no id"}]}),
        whole([1, 2]),
        whole({"data": []}),
        whole({"data": [{"id": "text-embedding-3"}]}),
        whole({"data": [{"id": "m"}]}, status=401),
        [b"nonsense\r\n\r\n"],
    ],
)
def test_another_kind_of_server_is_none(answer):
    with in_thread(answer) as server:
        assert find_server([("vllm", port_of(server))], patience=1.0) is None


def test_a_server_that_says_nothing_is_not_waited_for():
    with in_thread([HANG]) as server:
        assert find_server([("vllm", port_of(server))], patience=0.05) is None


def test_where_nobody_listens_there_is_none(closed_port):
    assert find_server([("ollama", closed_port)], patience=PATIENT) is None
