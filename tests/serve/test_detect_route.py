"""What `POST /v1/detect` answers, and that it is what the command line and the package answer."""

import base64
import http.client
import io
import json
import socket
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from command import ssd300
from fake_runtime import FakeRuntime
from narrow import load_narrow
from serving import form, picture_file, serving
from ssd300.cli.results import ResultStream, result_layout
from ssd300.formats import CSV_COLUMNS
from ssd300.labels import ClassList
from ssd300.serve.models import Models, Served
from ssd300.serve.settings import Settings
from ssd300.weights.metadata import ModelMetadata

LOW = "?score_threshold=0.3"


@pytest.fixture(scope="module")
def detector(narrow_checkpoint):
    return load_narrow(narrow_checkpoint, precision="f32", threads=2)


def test_nothing_found_is_a_row_without_detections(client, png) -> None:
    answer = client.detect(png, "?score_threshold=1&source=a.png")
    assert answer.status == 200
    assert answer.json == {"source": "a.png", "width": 120, "height": 90, "detections": []}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_of_each_kind_is_answered_as_by_the_package(client, detector, kind) -> None:
    data = picture_file(kind)
    answer = client.detect(data, LOW)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.data.decode() == detector.detect(data, score_threshold=0.3, clip=True).to_json() + "\n"
    assert answer.json["detections"]


def test_json_lines_are_the_command_s_byte_for_byte(client, narrow, narrow_checkpoint, tmp_path) -> None:
    names = [f"{number}.png" for number in range(3)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(picture_file("PNG", (60 + 40 * number, 80), seed=number))
    command = ["detect", *names, "--model", narrow_checkpoint, "--format", "jsonl", "--no-save", "--precision", "f32"]
    told = ssd300(*command, "--conf", "0.3", "--threads", "2", cwd=tmp_path).stdout.encode()
    rows = [client.detect((tmp_path / name).read_bytes(), f"{LOW}&source={name}").data for name in names]
    assert b"".join(rows) == told
    body, kind = form(*((name, (tmp_path / name).read_bytes()) for name in names))
    assert client.detect(body, LOW, Content_Type=kind, Accept="application/jsonl").data == told


@pytest.mark.parametrize(
    ("format", "accept"),
    [("json", "application/json"), ("csv", "text/csv"), ("coco", "application/vnd.coco+json")],
)
def test_other_texts_are_the_command_s(client, detector, png, format, accept) -> None:
    text = io.StringIO()
    stream = ResultStream(result_layout(format, many=True, bold=False), text)
    for name in ("a.png", "b/a.png"):
        stream.add(replace(detector.detect(png, score_threshold=0.3, clip=True), source=name))
    stream.end()
    body, kind = form(("a.png", png), ("b/a.png", png))
    assert client.detect(body, LOW, Content_Type=kind, Accept=accept).data.decode() == text.getvalue()


def test_a_form_with_one_picture_is_a_list_of_one(client, png) -> None:
    body, kind = form(("ü ñ.png", png))
    assert [row["source"] for row in client.detect(body, LOW, Content_Type=kind).json] == ["ü ñ.png"]
    angled = body.replace("ü ñ.png".encode(), b"<1>")
    assert [row["source"] for row in client.detect(angled, LOW, Content_Type=kind).json] == ["<1>"]
    body = body.replace('filename="ü ñ.png"'.encode(), b"filename*=utf-8''%C3%BC%20%C3%B1.png")  # RFC 2231
    assert [row["source"] for row in client.detect(body, LOW, Content_Type=kind).json] == ["ü ñ.png"]


@pytest.mark.parametrize("charset", ["", "undefined", "idna", "u\0", "hex"])
def test_other_charsets_of_names_are_no_errors(client, png, charset) -> None:
    answer = client.detect(png, Content_Type=f"image/png; x*={charset}''%ff" if "\0" not in charset else "image/png")
    assert answer.status == 200
    body, kind = form(("a", png))
    body = body.replace(b'filename="a"', f"filename*={charset}''%ff".encode())
    assert client.detect(body, Content_Type=kind).status in (200, 422)


def test_options_are_the_detector_s(client, detector, png) -> None:
    query = (
        "?score_threshold=0.2&iou_threshold=0.3&max_detections=3&labels=person,dog&labels=Gr%C3%B6%C3%9Fe&model=again"
    )
    labels = ["person", "dog", "Größe"]
    found = detector.detect(png, score_threshold=0.2, iou_threshold=0.3, max_detections=3, labels=labels, clip=True)
    assert client.detect(png, query).data.decode() == found.to_json() + "\n"


@pytest.mark.parametrize(("media", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")])
def test_the_drawn_picture(client, detector, png, media, kind) -> None:
    answer = client.detect(png, LOW, Accept=media)
    picture = Image.open(io.BytesIO(answer.data))
    assert (answer.headers["Content-Type"], picture.format, picture.size) == (media, kind, (120, 90))
    if kind == "PNG":
        assert np.array_equal(
            np.asarray(picture), np.asarray(detector.detect(png, score_threshold=0.3, clip=True).draw(png))
        )


def test_coco_rows_need_a_name(client, png) -> None:
    answer = client.detect(png, LOW, Accept="application/vnd.coco+json")
    assert (answer.status, "?source=NAME" in answer.detail) == (422, True)
    assert client.detect(png, f"{LOW}&source=7.png", Accept="application/vnd.coco+json").json[0]["image_id"] == 7


def test_boxes_are_cut_to_the_picture_unless_told_not_to(client, detector, png) -> None:
    found = detector.detect(png, score_threshold=0.3)
    assert client.detect(png, f"{LOW}&clip=false").data.decode() == found.to_json() + "\n"


def test_csv_has_its_header_also_without_objects(client, png) -> None:
    assert client.detect(png, "?score_threshold=1", Accept="text/csv").data.decode() == ",".join(CSV_COLUMNS) + "\n"


REFUSED = [
    ("", b"", {}, 422, "the body is empty"),
    ("", b"rubbish", {}, 422, "expected a JPEG"),
    ("?score=1", b"", {}, 422, "unknown option 'score'"),
    ("?score_threshold=2", b"", {}, 422, "score_threshold must be a number from 0 to 1"),
    ("?score_threshold=x", b"", {}, 422, "score_threshold is 'x': expected a number"),
    ("?score_threshold=nan", b"", {}, 422, "expected a number from 0 to 1"),
    ("?max_detections=0", b"", {}, 422, "max_detections must be a whole number"),
    ("?max_detections=1&max_detections=2", b"", {}, 422, "given twice"),
    ("?model=seeded&model=again", b"", {}, 422, "model is given twice"),
    ("?source=a&source=b", b"", {}, 422, "source is given twice"),
    ("?source=a", b"x", {"Content-Type": "multipart/form-data; boundary=a"}, 422, "files of a form and addresses"),
    ("?labels=", b"", {}, 422, "labels is '': expected comma-separated class names"),
    ("?labels=persan", b"", {}, 422, "did you mean 'person'"),
    (f"?labels={'9' * 5000}", b"", {}, 422, "unknown class name '999"),
    (f"?max_detections={'9' * 5000}", b"", {}, 422, "expected a whole number"),
    ("?decode=quick", b"", {}, 422, "decode"),
    ("?model=/etc/passwd", b"", {}, 404, "unknown model"),
    ("", b"", {"Accept": "audio/ogg"}, 406, "Accept is 'audio/ogg'"),
    ("", b"x", {"Content-Type": "text/html"}, 415, "Content-Type is 'text/html'"),
    ("", b"x", {"Content-Encoding": "gzip"}, 415, "Content-Encoding is 'gzip'"),
    ("", b'{"url": "http://127.0.0.1/a.png"}', {"Content-Type": "application/json"}, 403, "does not accept URLs"),
    ("", b"x", {"Content-Type": "multipart/form-data"}, 422, "multipart"),
    ("", b"x", {"Content-Type": "multipart/form-data; boundary*=a; boundary*0=b"}, 422, "write each parameter whole"),
    ("", b"x", {"Content-Type": f"multipart/form-data; a*{'9' * 5000}=b"}, 422, "write each parameter whole"),
    ("", b"--a\r\n", {"Content-Type": "multipart/form-data; boundary=a"}, 422, "multipart"),
    ("", b"x" * (2**20 + 1), {}, 413, "larger than 1,048,576 bytes"),
    ("", picture_file("PNG", (1001, 1000)), {}, 413, "more than the limit of 1,000,000 (--max-pixels)"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "body", "headers", "status", "words"), REFUSED)
def test_refusals_say_what_was_found_and_expected(client, query, body, headers, status, words) -> None:
    answer = client.ask("POST", f"/v1/detect{query}", body, {"Content-Type": "image/png", **headers})
    assert answer.status == status, answer.data
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert words in answer.detail
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.data.decode()


def test_too_many_pictures_and_forms_without_one(client, png) -> None:
    body, kind = form(*((f"{number}.png", png) for number in range(5)))
    assert "at most 4" in client.detect(body, Content_Type=kind).detail
    body = b'--cut\r\nContent-Disposition: form-data; name="a"\r\n\r\nwords\r\n--cut--\r\n'
    assert "has no file" in client.detect(body, Content_Type=kind).detail
    text = b'--cut\r\nContent-Disposition: form-data; name="labels"\r\n\r\ncat\r\n'
    body, kind = form(("a.png", png))
    assert kind.endswith("=cut")
    assert "field 'labels' is not a file: options belong in" in client.detect(text + body, Content_Type=kind).detail
    body, kind = form(("a.png", png), ("b.png", png))
    assert client.detect(body, Content_Type=kind, Accept="image/png").status == 406
    for headers, status in ((3, 200), (5, 422)):  # of a part, all together at most 4 KiB
        body, kind = form(("a.png", png))
        head = b"".join(b"\r\nX-%d: " % number + b"x" * 900 for number in range(headers))
        body = body.replace(b"\r\n\r\n", head + b"\r\n\r\n", 1)
        answer = client.detect(body, Content_Type=kind)
        assert (answer.status, b"more than 4096 bytes" in answer.data) == (status, status == 422)


def test_a_form_whose_file_name_contradicts_itself(client, png) -> None:
    body, kind = form(("a.png", png))
    body = body.replace(b'filename="a.png"', b"filename*=utf-8''a.png; filename*0=b.png")
    answer = client.detect(body, Content_Type=kind)
    assert (answer.status, "write each parameter whole" in answer.detail) == (422, True)


def test_lines_of_accept_are_one_list(client, png) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    with closing(connection):
        connection.putrequest("POST", "/v1/detect")
        for name, value in (("Accept", "audio/ogg"), ("Accept", "text/csv"), ("Content-Length", str(len(png)))):
            connection.putheader(name, value)
        connection.endheaders(png)
        assert connection.getresponse().headers["Content-Type"].startswith("text/csv")


def test_a_class_name_with_a_comma_is_one_label(png) -> None:
    runtime = FakeRuntime(1)
    runtime.metadata = ModelMetadata("resnet18", ClassList.from_names(["bag, small", "cat"]))
    picture = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(png).decode()]}
    asked = json.dumps({"inputs": [picture], "parameters": {"labels": "bag, small"}})
    with serving(Models([Served("fake", runtime, runtime)]), Settings()) as client:
        assert client.detect(png, "?labels=bag%2C%20small&labels=cat").status == 200
        assert client.ask("POST", "/v2/models/fake/infer", asked).status == 200


def test_one_bad_picture_refuses_the_request_by_its_name(client, png) -> None:
    body, kind = form(("good.png", png), ("bad.png", b"rubbish"))
    answer = client.detect(body, Content_Type=kind)
    assert (answer.status, answer.detail.split(":")[0]) == (422, "bad.png")


def test_a_kept_connection_does_not_wait_for_acknowledgments(client) -> None:
    """Nagle's algorithm and delayed acknowledgments together would hold each answer back for 40 ms."""
    with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        lines = [one.transport.get_extra_info("socket") for one in client.server.server_state.connections]
        assert lines
        assert all(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for line in lines)
