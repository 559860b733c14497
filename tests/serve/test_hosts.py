"""The names by which a server may be called: a web site must not reach it under a name of its own (DNS rebinding)."""

import pytest

from serving import serving
from ssd300.serve.settings import Settings


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        ((), "localhost:8000", 200),
        ((), "LocalHost", 200),
        ((), "ssd300.localhost:80", 200),
        ((), "127.0.0.1:8000", 200),
        ((), "[::1]:8000", 200),
        ((), "192.168.1.7", 200),
        ((), "evil.example:8000", 421),
        ((), "localhost.evil.example", 421),
        ((), "127.0.0.1.evil.example", 421),
        ((), "notlocalhost", 421),
        (("cams.example",), "cams.example", 200),
        (("cams.example",), "CAMS.example.:443", 200),
        (("cams.example",), "127.0.0.1", 200),
        (("cams.example",), "www.cams.example", 421),
        (None, "evil.example", 200),
    ],
)
def test_names(models, hosts, host, status) -> None:
    with serving(models, Settings(hosts=hosts)) as client:
        for path in ("/v1/models", "/", "/healthz", "/docs", "/v2"):
            answer = client.ask("GET", path, headers={"Host": host})
            assert answer.status == status
            assert status == 200 or "--allow-host" in answer.data.decode()


def test_a_request_of_http_1_0_without_a_name(models) -> None:
    with serving(models, Settings(hosts=())) as client, client.line() as line:
        line.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert line.recv(100).split()[1] == b"200"


def test_the_description_names_the_refusal(models) -> None:
    with serving(models, Settings(hosts=())) as client:
        for operations in client.ask("GET", "/openapi.json").json["paths"].values():
            assert all("421" in operation["responses"] for operation in operations.values())
