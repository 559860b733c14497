"""The server's page in a browser: every way to give it a picture, its settings, and who can use it."""

import base64
import json
from pathlib import Path

import pytest
from PIL import Image

from serving import serving, until
from ssd300.colors import choose_colors
from ssd300.labels import COCO
from ssd300.serve.models import Models
from ssd300.serve.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
COFFEE = Path(__file__).parents[2] / "examples" / "images" / "coffee.jpg"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
SHOWN = "#count:not(:text('Nothing yet'))"

DROP = """([data, name, kind]) => {
    const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type: "image/jpeg" });
    const held = new DataTransfer();
    held.items.add(file);
    const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: held, bubbles: true, cancelable: true });
    document.getElementById("drop").dispatchEvent(event);
}"""


def own(server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def watched(opened, server):
    one = opened(own(server))
    yield one
    assert one.outside(own(server)) == []
    assert one.faults == []


@pytest.fixture
def page(watched):
    return watched.page


def choose(page, path=COFFEE) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector(SHOWN)


def rows(page) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator("#table tbody tr").all()]


def test_before_a_picture_nothing_is_shown(page) -> None:
    assert page.inner_text("#count") == "Nothing yet"
    assert page.is_hidden("#table")
    assert page.is_disabled("#save-json")
    assert page.is_hidden("#private-row")


def test_a_chosen_picture_shows_what_the_package_finds(page, server) -> None:
    choose(page)
    found = server.detect(COFFEE.read_bytes(), "?score_threshold=0.4").json["detections"]
    assert [[row[0], row[1]] for row in rows(page)] == [[one["name"], f"{one['score']:.2f}"] for one in found]
    assert [int(side) for side in rows(page)[0][2:]] == [round(side) for side in found[0]["box_xyxy"]]
    assert "coffee.jpg: 4 objects: bowl" in page.get_attribute("#picture", "aria-label")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropped_and_pasted_pictures(page, kind) -> None:
    page.evaluate(DROP, [base64.b64encode(COFFEE.read_bytes()).decode(), "mine.jpg", kind])
    page.wait_for_selector(SHOWN)
    assert rows(page)[0][0] == "bowl"
    assert page.get_attribute("#picture", "aria-label").startswith("mine.jpg")


COUNT_CAMERAS = """() => {
    const opened = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.cameras = 0;
    navigator.mediaDevices.getUserMedia = (wanted) => { window.cameras += 1; return opened(wanted); };
    for (const _ of [1, 2]) document.getElementById("camera").click();
}"""


def test_the_camera_starts_once_and_stops(page) -> None:
    page.evaluate(COUNT_CAMERAS)
    page.wait_for_selector(SHOWN)
    assert page.evaluate("window.cameras") == 1
    assert page.get_attribute("#camera", "aria-pressed") == "true"
    page.click("#camera")
    page.wait_for_selector("#camera[aria-pressed=false]")
    assert page.get_attribute("#picture", "aria-label").startswith("camera.jpg")


def test_a_camera_that_is_unplugged_is_told(page) -> None:
    page.click("#camera")
    page.wait_for_selector(SHOWN)
    page.evaluate("() => document.getElementById('video').srcObject.getTracks().forEach((track) => track.stop())")
    page.wait_for_selector("#fault:has-text('no more pictures')")
    assert page.get_attribute("#camera", "aria-pressed") == "false"


def test_the_slider_and_the_classes_filter_without_asking_again(page, watched) -> None:
    choose(page)
    asked = len(watched.asked)
    scores = sorted((float(row[1]) for row in rows(page)), reverse=True)
    assert scores[0] - scores[1] > 0.03  # so that a step of the slider lies between
    page.fill("#threshold", f"{scores[0] - 0.02:.2f}")
    assert [row[0] for row in rows(page)] == ["bowl"]
    page.fill("#threshold", "0.4")
    page.uncheck("#class-list label:has-text('cup') input")
    assert "cup" not in [row[0] for row in rows(page)]
    page.check("#class-list label:has-text('cup') input")
    assert "cup" in [row[0] for row in rows(page)]
    assert len(watched.asked) == asked


def test_the_classes_of_a_picture_have_the_package_s_colors(page) -> None:
    choose(page)
    swatches = page.locator("#class-list label").all()
    shown = {one.inner_text().strip(): one.locator(".swatch").evaluate("x => x.style.background") for one in swatches}
    ids = sorted(COCO.ids[COCO.position_of_name[name]] for name in shown)
    colors = dict(zip(ids, choose_colors(ids), strict=True))
    expected = {name: f"rgb{colors[COCO.ids[COCO.position_of_name[name]]]}" for name in shown}
    assert len(set(expected.values())) == len(shown) > 2
    assert shown == expected


def test_the_classes_of_a_crowded_picture_have_the_package_s_colors(page) -> None:
    ids = list(range(24))
    found = [{"name": f"{i:02}", "class_id": i, "score": 0.9, "box_xyxy": [0, 0, 9, 9]} for i in ids]
    answer = {"source": "x", "width": 600, "height": 400, "detections": found}
    page.route("**/v1/detect?*", lambda route: route.fulfill(json=answer))
    choose(page)
    shown = [one.evaluate("x => x.style.background") for one in page.locator("#class-list .swatch").all()]
    assert shown == [f"rgb{color}" for color in choose_colors(ids)]


def test_the_classes_are_those_of_the_model(page) -> None:
    """Two models may have one id for different classes."""
    one = {"class_id": 1, "score": 0.9, "box_xyxy": [0, 0, 9, 9]}
    page.route("**/v1/detect?*", lambda route: route.fulfill(json=answer))
    for name in ("person", "red cell"):
        answer = {"source": "x", "width": 600, "height": 400, "detections": [{**one, "name": name}]}
        page.set_input_files("#file", COFFEE)
        page.wait_for_selector(f"#table td:text-is('{name}')")
        assert page.inner_text("#class-list").strip() == name
        page.uncheck("#class-list input")
        assert page.is_hidden("#table")
        page.check("#class-list input")


def test_a_picture_is_shown_as_its_exif_says(page, tmp_path) -> None:
    """The server turns every kind of file; Chromium by itself does not turn a WebP."""
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = []
    for kind in ("png", "webp"):
        Image.open(COFFEE).save(tmp_path / f"turned.{kind}", exif=exif, lossless=True)
        choose(page, tmp_path / f"turned.{kind}")
        page.wait_for_selector("#status:has-text('400 × 600')")
        page.wait_for_selector(f"#picture[aria-label^='turned.{kind}']")
        page.fill("#threshold", "0.95")  # no boxes
        data = page.evaluate("document.getElementById('picture').toDataURL()")
        shown.append(data)
    assert shown[0] == shown[1]


def test_after_going_back_the_slider_s_number_is_its_own(page) -> None:
    page.fill("#threshold", "0.7")
    page.click("#docs")
    page.wait_for_selector("h1:text-is('API')")
    page.go_back()
    page.wait_for_selector("#threshold")
    assert page.inner_text("#threshold-value") == f"{float(page.input_value('#threshold')):.2f}"


def test_what_is_dropped_and_is_no_file_is_refused_in_words(page) -> None:
    page.evaluate("""() => {
        const held = new DataTransfer();
        held.setData("text/uri-list", "https://example.org/cat.jpg");
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: held, bubbles: true }));
    }""")
    assert "not a file" in page.inner_text("#fault")


def test_the_file_may_change_after_it_was_chosen(page, tmp_path) -> None:
    (tmp_path / "mine.jpg").write_bytes(COFFEE.read_bytes())
    choose(page, tmp_path / "mine.jpg")
    (tmp_path / "mine.jpg").write_bytes(b"")
    page.check("#agnostic")
    page.wait_for_selector("#count:text-is('2 objects')")


def test_captions_can_be_read_on_a_phone(opened, server) -> None:
    """At least 11 pixels of the screen, also where the picture is shown smaller than it is."""
    page = opened(own(server), **PHONE).page
    choose(page)
    letters = "parseFloat(document.getElementById('picture').getContext('2d').font.match(/[0-9.]+px/)[0])"
    canvas = "document.getElementById('picture')"
    assert page.evaluate(f"{letters} * {canvas}.clientWidth / {canvas}.width") >= 10.9


def test_agnostic_nms_asks_the_server(page) -> None:
    choose(page)
    with page.expect_response(lambda response: "agnostic_nms=true" in response.url):
        page.check("#agnostic")
    page.wait_for_selector("#count:text-is('2 objects')")  # no string to evaluate, which the page's policy forbids


def test_what_is_saved_is_what_is_shown(page) -> None:
    choose(page)
    first, second, third = (float(row[1]) for row in rows(page)[:3])
    assert first > second > third + 0.02  # so that a step of the slider lies between
    page.fill("#threshold", f"{third + 0.01:.2f}")
    with page.expect_download() as saved:
        page.click("#save-json")
    data = json.loads(Path(saved.value.path()).read_text())
    assert (data["source"], data["width"], len(data["detections"])) == ("coffee.jpg", 600, 2)
    with page.expect_download() as saved:
        page.click("#save-picture")
    assert saved.value.suggested_filename == "coffee_found.png"
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (600, 400)


def test_a_file_that_is_no_picture_is_refused_in_words(opened, server, tmp_path) -> None:
    (tmp_path / "notes.jpg").write_text("words")
    page = opened(own(server)).page
    choose(page)
    page.set_input_files("#file", tmp_path / "notes.jpg")
    page.wait_for_selector("#fault:visible")
    assert "expected" in page.inner_text("#fault")
    with page.expect_download() as saved:  # still of the picture before
        page.click("#save-json")
    assert saved.value.suggested_filename == "coffee_found.json"
    choose(page)
    page.wait_for_selector("#fault", state="hidden")


def test_a_server_that_stopped_is_told(opened, server) -> None:
    with serving(Models.load({"default": "default"}, threads=1), Settings(timeout=60)) as other:
        page = opened(own(other)).page
        choose(page)
    page.set_input_files("#file", COFFEE)
    page.wait_for_selector("#fault:has-text('the server does not answer')")


def test_an_answer_that_is_cut_off_is_told(opened, server) -> None:
    page = opened(own(server)).page
    page.route("**/v1/detect?*", lambda route: route.fulfill(body='{"source": "co', content_type="application/json"))
    page.set_input_files("#file", COFFEE)
    page.wait_for_selector("#fault:has-text('the server does not answer')")


def test_a_picture_that_another_replaced_is_not_sent(watched) -> None:
    page = watched.page
    page.evaluate("""() => {
        const decode = createImageBitmap, gate = new Promise((open) => (globalThis.openGate = open));
        globalThis.waiting = 0;
        globalThis.createImageBitmap = async (...given) => { waiting++; await gate; return decode(...given); };
    }""")
    for number in (1, 2):
        page.set_input_files("#file", COFFEE)
        # Not `wait_for_function`: it evaluates text within the page, which the page's security policy forbids.
        until(lambda number=number: page.evaluate("waiting") == number)
    page.evaluate("openGate()")
    page.wait_for_selector(SHOWN)
    assert sum("/v1/detect" in url for url in watched.asked) == 1


def test_by_keyboard_alone(page) -> None:
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    assert order[:5] == ["docs", "file", "camera", "threshold", "agnostic"]
    choose(page)
    page.focus("#threshold")
    before = page.inner_text("#threshold-value")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#threshold-value") != before
    page.focus("#agnostic")
    page.keyboard.press("Space")
    assert page.is_checked("#agnostic")


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, PHONE, {**PHONE, "color_scheme": "dark"}])
@pytest.mark.parametrize("state", ["before", "after"])
def test_axe_has_no_serious_finding(opened, server, axe, look, state) -> None:
    watched = opened(own(server), bypass_csp=True, **look)
    if state == "after":
        choose(watched.page)
    watched.page.evaluate(axe)
    found = watched.page.evaluate("axe.run().then((result) => result.violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert watched.outside(own(server)) == []


@pytest.mark.parametrize("look", [{}, PHONE])
def test_the_interface_s_page_has_no_serious_finding(opened, server, axe, look) -> None:
    watched = opened(f"{own(server)}/docs", bypass_csp=True, **look)
    assert watched.faults == []
    watched.page.evaluate(axe)
    found = watched.page.evaluate("axe.run().then((result) => result.violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("look", [{"viewport": {"width": 320, "height": 640}}, PHONE, {}])
def test_nothing_is_cut_off_sideways(opened, server, look) -> None:
    page = opened(own(server), **look).page
    choose(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    sizes = page.evaluate(
        "[...document.querySelectorAll('button, .button, select, input[type=range]')]"
        ".filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 44


def test_a_key_is_asked_for_and_kept(opened, seeded_checkpoint) -> None:
    models = Models.load({"seeded": str(seeded_checkpoint)}, threads=1)
    with serving(models, Settings(keys=("the-right-key",), timeout=60)) as server:
        page = opened(own(server)).page
        page.wait_for_selector("#key-row:visible")
        page.fill("#key", "a-wrong-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#fault:has-text('not one of this server')")
        page.fill("#key", "the-right-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#key-row", state="hidden")
        choose(page)
        assert page.is_hidden("#fault")
