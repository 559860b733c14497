"""Health, metrics, the interface's description, KServe's protocol, and the page's headers."""

import base64
import json
import re
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving import serving, until
from ssd300 import limits
from ssd300.serve.settings import Settings


def test_health_and_readiness(client) -> None:
    assert client.ask("GET", "/healthz").json == {"status": "ok"}
    assert client.ask("GET", "/readyz").json == {"status": "ready"}
    client.app.state.draining = True
    try:
        answer = client.ask("GET", "/readyz")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        described = client.ask("GET", "/openapi.json").json["paths"]["/readyz"]["get"]["responses"]["503"]
        assert list(described["content"]) == [answer.headers["Content-Type"]]
        assert client.ask("GET", "/v2/health/ready").status == 503
        assert client.ask("GET", "/healthz").status == 200
    finally:
        client.app.state.draining = False


@pytest.mark.parametrize("path", ["/docs/", "/metrics/", "/v1/models/", "/v2/"])
def test_a_path_with_a_slash_too_many_is_none(client, path) -> None:
    assert client.ask("GET", path).status == 404


def test_models(client) -> None:
    models = client.ask("GET", "/v1/models").json["models"]
    assert [one["name"] for one in models] == ["seeded", "again"]
    assert models[0]["classes"][1] == {"class_id": 18, "name": "dog"}


def test_metrics_count_requests_pictures_and_stages(client, png) -> None:
    client.detect(png)
    client.detect(b"rubbish")
    text = client.ask("GET", "/metrics").data.decode()
    numbers = dict(re.findall(r"^(ssd300_[^ ]+) (\S+)$", text, re.M))
    assert float(numbers['ssd300_requests_total{route="/v1/detect",status="200"}']) >= 1
    assert float(numbers['ssd300_rejections_total{status="422"}']) >= 1
    assert float(numbers['ssd300_stage_seconds_count{stage="wait"}']) >= 1
    assert numbers["ssd300_queue_pictures"] == "0.0"


def test_the_stages_have_the_wait_for_room_of_other_pictures(models, png) -> None:
    with serving(models, Settings(max_pixels=120 * 90)) as one, ThreadPoolExecutor(1) as pool:
        budget = one.app.state.detecting.budget
        with budget.share():
            budget.take(120 * 90)
            answer = pool.submit(one.detect, png)
            until(lambda: one.app.state.detecting.admission.running)
            time.sleep(0.5)
            assert not answer.done()
        assert answer.result().status == 200
        text = one.ask("GET", "/metrics").data.decode()
    assert sum(map(float, re.findall(r"^ssd300_stage_seconds_sum\S+ (\S+)$", text, re.M))) > 0.5


def test_a_head_request_sends_no_bytes_of_a_body(client, log_lines) -> None:
    assert client.ask("HEAD", "/page.css").data == b""
    until(lambda: log_lines)  # written after the answer
    assert [line["bytes_out"] for line in log_lines] == [0]


def test_the_bytes_of_a_body_are_counted_also_if_it_is_refused(client, log_lines, png) -> None:
    for body in (png, b"rubbish"):
        client.detect(body)
    until(lambda: len(log_lines) == 2)
    assert [line["bytes_in"] for line in log_lines] == [len(png), 7]


def test_the_description_names_every_route(client) -> None:
    described = client.ask("GET", "/openapi.json").json["paths"]
    static = {"/page.css", "/page.js", "/icon.svg", "/browser.js"}
    routes = {route.path for route in client.app.routes if not route.path.startswith("/private/")} - static
    assert set(described) == routes
    for path, operations in described.items():
        asked = path.replace("{name}", "seeded")
        for method in operations:
            assert client.ask(method.upper(), asked).status not in (404, 405, 500)


@pytest.mark.parametrize("path", ["/", "/docs", "/page.css", "/page.js"])
def test_pages_have_relative_links(client, path) -> None:
    text = client.ask("GET", path).data.decode()
    assert not re.search(
        r"""(href|src)=["']/|url\(["']?/|fetch\(["'`]/""", text
    )  # a proxy may serve them below a prefix


def test_the_description_refers_only_to_what_it_has(client) -> None:
    text = client.ask("GET", "/openapi.json").data.decode()
    schemas = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(schemas)


def test_an_answer_fits_its_schema(client, png) -> None:
    import jsonschema

    described = client.ask("GET", "/openapi.json").json
    schema = {"$ref": "#/components/schemas/Found", "components": described["components"]}
    jsonschema.validate(client.detect(png, "?score_threshold=0.3").json, schema)
    schema["$ref"] = "#/components/schemas/Problem"
    jsonschema.validate(client.detect(b"").json, schema)
    schema["$ref"] = "#/components/schemas/Models"
    jsonschema.validate(client.ask("GET", "/v1/models").json, schema)


INFER = "/v2/models/{name}/infer"
IMAGE = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 3], "data": [0, 0, 0]}


@pytest.mark.parametrize(
    ("method", "path", "name", "content", "status"),
    [
        ("GET", "/v2/models/{name}", "no", None, 404),
        ("GET", "/v2/models/{name}/ready", "no", None, 404),
        ("POST", INFER, "no", {"inputs": []}, 404),
        ("POST", INFER, "seeded", {}, 400),
        ("POST", INFER, "seeded", {"inputs": [IMAGE | {"datatype": "BYTES", "shape": [1], "data": ["AA=="]}]}, 422),
        ("POST", INFER, "seeded", {"inputs": [IMAGE]}, 200),
    ],
)
def test_answers_of_the_inference_protocol_are_described(client, method, path, name, content, status) -> None:
    import jsonschema

    described = client.ask("GET", "/openapi.json").json
    operation, components = described["paths"][path][method.lower()], {"components": described["components"]}
    body = None if content is None else json.dumps(content).encode()
    answer = client.ask(method, path.replace("{name}", name), body)
    assert answer.status == status
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json, schema | components)
    if status == 200:
        given = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(content, given | components)


@pytest.mark.parametrize(
    ("host", "shown"),
    [(None, "127.0.0.1:{port}"), ("a.example:81", "a.example:81"), ("a'b", "127.0.0.1:8000"), ("[", "[")],
)
def test_the_example_asks_this_server(client, host, shown) -> None:
    page = client.ask("GET", "/docs", headers={"Host": host} if host else {}).data.decode()
    assert f">curl --data-binary @picture.jpg 'http://{shown.format(port=client.port)}/v1/detect?" in page


def test_the_api_says_the_defaults_of_the_options(client) -> None:
    from ssd300.options import DetectOptions

    ours = vars(DetectOptions(clip=True))  # as on the command line
    options = client.ask("GET", "/openapi.json").json["paths"]["/v1/detect"]["post"]["parameters"]
    defaults = {one["name"]: one["schema"]["default"] for one in options if "default" in one["schema"]}
    assert len(defaults) == 6
    assert defaults == {name: ours[name] for name in defaults}
    page = client.ask("GET", "/docs").data.decode()
    assert ">score_threshold</code></th><td>Only objects that score above it. Default: 0.4.<" in page


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nobody_else(client, path) -> None:
    answer = client.ask("GET", path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", answer.data.decode())


def infer(client, tensor, **more):
    body = json.dumps({"inputs": [tensor], **more})
    return client.ask("POST", "/v2/models/seeded/infer", body, {"Content-Type": "application/json"})


# Of WAI-ARIA 1.2, those that a page without widgets of its own may need. A misspelled one silently has no effect.
ARIA = {"label", "labelledby", "describedby", "hidden", "live", "pressed", "expanded", "controls", "current", "busy"}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_what_a_page_says_to_screen_readers_exists(client, path) -> None:
    page = client.ask("GET", path).data.decode()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"\baria-([a-z]+)=", page)) <= ARIA
    assert {one for names in re.findall(r'\b(?:aria-labelledby|for)="([^"]+)"', page) for one in names.split()} <= set(
        ids
    )


def test_kserve_describes_server_and_model(client) -> None:
    assert client.ask("GET", "/v2").json["name"] == "ssd300"
    assert client.ask("GET", "/v2/health/live").json == {"live": True}
    assert client.ask("GET", "/v2/models/again/ready").json == {"name": "again", "ready": True}
    assert client.ask("GET", "/v2/models/seeded").json["inputs"][0]["name"] == "image"
    for path in ("other", "seeded/versions/2"):
        answer = client.ask("GET", f"/v2/models/{path}")
        assert (answer.status, list(answer.json)) == (404, ["error"])
    for path in ("", "/ready"):
        plain, versioned = (client.ask("GET", f"/v2/models/seeded{part}{path}").json for part in ("", "/versions/1"))
        assert plain == versioned


def test_kserve_answers_as_detect_does(client, png) -> None:
    rows = client.detect(png, "?score_threshold=0.3").json["detections"]
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(png).decode()]}
    answer = infer(client, tensor, id="7", parameters={"score_threshold": 0.3, "binary_data_output": True}).json
    outputs = {one["name"]: one for one in answer["outputs"]}
    assert (answer["id"], outputs["names"]["data"]) == ("7", [row["name"] for row in rows])
    assert outputs["boxes"]["shape"] == [len(rows), 4]
    assert outputs["boxes"]["data"] == [side for row in rows for side in row["box_xyxy"]]
    asked = infer(client, tensor, parameters={"score_threshold": 1}, outputs=[{"name": "scores"}]).json
    assert asked["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [0], "data": []}]


def test_kserve_takes_binary_data_and_pixels(client, png) -> None:
    import io

    import numpy as np
    from PIL import Image

    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(png) + 4}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    body = head + struct.pack("<I", len(png)) + png
    binary = client.ask("POST", "/v2/models/seeded/infer", body, headers)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    flat = {"name": "image", "shape": [1, *pixels.shape], "datatype": "UINT8", "data": pixels.ravel().tolist()}
    assert binary.status == 200
    assert infer(client, flat).json["outputs"] == binary.json["outputs"]
    nested = {**flat, "data": pixels.tolist()}
    assert infer(client, nested).json["outputs"] == binary.json["outputs"]
    tensor = {**flat, "data": None, "parameters": {"binary_data_size": pixels.nbytes}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.ask("POST", "/v2/models/seeded/versions/1/infer", head + pixels.tobytes(), headers)
    assert answer.json["outputs"] == binary.json["outputs"]


@pytest.mark.parametrize(
    "tensor",
    [
        {},
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": []},
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["%%"]},
        {"name": "image", "shape": [2], "datatype": "BYTES", "data": ["", ""]},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2]},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2, 256]},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, [2], 3]},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, True, 3]},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": {"a": 1}},
        {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": ["x" * 500_000, *[""] * 99_999]},
        {"name": "image", "shape": [-1], "datatype": "BYTES", "data": [""]},
        {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 9}},
        {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": "\ud800"}},
    ],
)
def test_kserve_refuses_in_its_own_words(client, tensor) -> None:
    answer = infer(client, tensor)
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize(
    ("query", "more", "headers", "words"),
    [
        ("?score_threshold=0.9", {}, {}, "this address takes no options"),
        ("", {"score_threshold": 0.9}, {}, "score_threshold is not where options belong"),
        ("", {"id": 7}, {}, "id is 7: expected a string"),
        ("", {"outputs": {}}, {}, "outputs must be objects"),
        ("", {}, {"Inference-Header-Content-Length": "{}"}, "binary_data_size is None, but 3 bytes follow the JSON"),
    ],
)
def test_kserve_refuses_what_it_would_ignore(client, query, more, headers, words) -> None:
    head = json.dumps({"inputs": [IMAGE], **more}).encode()
    headers = {name: value.format(len(head)) for name, value in headers.items()}
    answer = client.ask("POST", f"/v2/models/seeded/infer{query}", head + b"abc" * bool(headers), headers)
    assert (answer.status, words in answer.json["error"]) == (400, True), answer.data


@pytest.mark.parametrize(("limit", "most"), [("JSON_VALUES", 9), ("JSON_LISTS", 10), ("JSON_NAMES", 5)])
def test_kserve_refuses_more_json_than_it_reads_at_once(client, monkeypatch, limit, most) -> None:
    monkeypatch.setattr(limits, limit, most)
    much = {"JSON_VALUES": [0] * 7, "JSON_LISTS": [[[[[[[[[0]]]]]]]]], "JSON_NAMES": {"a": 0}}[limit]
    for more, status in (([], 200), ([much], 413)):
        tensor = {"name": "image", "shape": [1, 1, 3], "datatype": "UINT8", "data": [0, 0, 0]}
        assert infer(client, tensor | ({"more": more} if more else {})).status == status


@pytest.mark.parametrize("length", ["", "-1", "3", "9" * 5000])
def test_kserve_refuses_a_json_part_that_is_longer_than_the_body(client, length) -> None:
    answer = client.ask("POST", "/v2/models/seeded/infer", b"{}", {"Inference-Header-Content-Length": length})
    assert (answer.status, "expected at most the body's 2 bytes" in answer.data.decode()) == (400, True)


@pytest.mark.parametrize(
    "parameters",
    [
        {"score_threshold": "high"},
        {"score_treshold": 0.5},
        {"labels": 7},
        {"labels": [7]},
        {"labels": ""},
        {"labels": []},
        {"decode": []},
        [],
        {"labels": ["x" * 501]},
        {"score_threshold": "x" * 501},
        {"decode": "\ud800"},
    ],
)
def test_kserve_refuses_bad_parameters(client, png, parameters) -> None:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(png).decode()]}
    assert infer(client, tensor, parameters=parameters).status in (400, 422)


@pytest.mark.parametrize("outputs", ["scores", [7], [{"name": "classes"}], [{"name": "scores"}] * 2])
def test_kserve_refuses_outputs_that_there_are_not_or_twice(client, png, outputs) -> None:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(png).decode()]}
    answer = infer(client, tensor, outputs=outputs)
    assert (answer.status, "each once at most" in answer.json["error"]) == (400, True)
