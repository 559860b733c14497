"""HTTP requests with faults, for the servers' tests."""

import random

from serving import form

PATHS = [
    "/v1/detect",
    "/v1/detect?",
    "/v1/models",
    "/v2/models/small/infer",
    "/v2/models/small",
    "/",
    "/docs",
    "/metrics",
]
NAMES = ["score_threshold", "iou_threshold", "max_detections", "labels", "decode", "model", "source", "clip", "zzz"]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "nan",
    "1e999",
    "0.5",
    "true",
    "person",
    "dog,Größe",
    "%00",
    "%ff%fe",
    "small",
    "x" * 300,
    "9" * 400,
]
TYPES = [
    "image/png",
    "",
    "multipart/form-data; boundary=cut",
    "multipart/form-data",
    "application/json",
    "text/html",
    "ü/ü",
]
TENSORS = [
    '"datatype":"BYTES","data":["%%"]',
    '"datatype":"UINT8","data":[1,2,3]',
    '"datatype":"UINT8","data":[[[1,2,3]]]',
    '"datatype":"UINT8","data":["xxxxxxxxxxxxxxxx","",""]',
    '"datatype":"UINT8","data":[1,[2],true,-1,1e9,null,{}]',
    '"datatype":"UINT8","parameters":{"binary_data_size":3}',
    '"datatype":"BYTES","parameters":{"binary_data_size":"\\ud800"}',
    '"datatype":"\\ud800","data":[[[]]]',
]
OUTPUTS = ["[]", '[{"name":"scores"}]', '[{"name":"scores"},{"name":"scores"}]', '[{"name":"\\ud800"}]', '{"name":7}']
ACCEPTS = ["*/*", "image/png", "text/csv", "application/vnd.coco+json", ";;", "image/*;q=x", "a/b"]


def fuzzed(draw: random.Random, small: bytes) -> tuple[bytes, bool]:
    """A request that is right but for some of its parts, and whether its body may be incomplete.

    Every third has bytes changed and is cut.
    """
    path = draw.choice(PATHS)
    if draw.random() < 0.5:
        path += ("?" if "?" not in path else "") + "&".join(
            f"{draw.choice(NAMES)}={draw.choice(VALUES)}" for _ in range(draw.randrange(4))
        )
    tensor = f'{{"name":"image","shape":[{draw.choice(["1", "-1", "1,1,3", "[]"])}],{draw.choice(TENSORS)}}}'
    outputs, label = draw.choice(OUTPUTS), draw.choice(['"\\ud800"', '["person"]', "7"])
    noise = bytes(draw.randrange(256) for _ in range(40))
    bodies = [small, b"", noise, form(("a.png", small))[0], b"--cut--\r\n", b'{"url": 7}', b"[" * 5000, b'"\\ud800"']
    bodies += [f'{{"inputs":[{tensor}]}}'.encode(), b'{"inputs":[],"parameters":[]}']
    bodies += [f'{{"inputs":[{tensor}],"outputs":{outputs},"parameters":{{"labels":{label}}}}}'.encode()] * 3
    body = bytearray(draw.choice(bodies))
    if body and draw.random() < 0.4:
        for _ in range(draw.randrange(1, 6)):
            body[draw.randrange(len(body))] = draw.randrange(256)
    length = len(body) if draw.random() < 0.9 else draw.randrange(200)
    head = [
        f"{draw.choice(['POST', 'POST', 'POST', 'GET', 'PUT', 'HEAD'])} {path.replace(' ', '')} HTTP/1.1",
        "Host: localhost",
    ]
    head += [f"Content-Type: {draw.choice(TYPES)}", f"Accept: {draw.choice(ACCEPTS)}", f"Content-Length: {length}"]
    if draw.random() < 0.1:
        head.append(draw.choice(["X-Request-ID: \x00", "Inference-Header-Content-Length: 3", "Content-Encoding: br"]))
    request = bytearray("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    changed = draw.random() < 0.3
    if changed:
        for _ in range(draw.randrange(1, 4)):
            request[draw.randrange(len(request))] = draw.randrange(256)
        request = request[: draw.randrange(1, len(request) + 1)]
    return bytes(request), changed or length > len(body)
