"""API keys: what needs one, and that the API's description says so."""

import pytest

from serving import serving
from ssd300.serve.settings import Settings

KEY = "a-key-of-16-byte"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models", {}, 401),
        ("/v2/models/seeded", {}, 401),
        ("/metrics", {}, 401),
        ("/v1/models", {"X-API-Key": "wrong"}, 401),
        ("/v1/models", {"X-API-Key": "ü"}, 401),
        ("/v1/models", {"X-API-Key": KEY}, 200),
        ("/v1/models", {"Authorization": f"Bearer {KEY}"}, 200),
        ("/v1/models", {"Authorization": f"bearer  {KEY}"}, 200),
        ("/healthz", {}, 200),
        ("/", {}, 200),
    ],
)
def test_keys(models, path, headers, status) -> None:
    with serving(models, Settings(keys=("another-key", KEY))) as client:
        answer = client.ask("GET", path, headers=headers)
        assert answer.status == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_the_description_says_which_paths_need_a_key(models) -> None:
    with serving(models, Settings(keys=(KEY,))) as client:
        described = client.ask("GET", "/openapi.json").json
        assert b"@picture.jpg -H 'X-API-Key: KEY' 'http" in client.ask("GET", "/docs").data
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                refused = client.ask(method.upper(), path.replace("{name}", "seeded")).status == 401
                assert (path, operation.get("security", described["security"]) != []) == (path, refused)
                assert not refused or "401" in operation["responses"]
