"""Pictures from addresses: redirects, private networks, offline. The only server is on loopback."""

import numpy as np
import pytest

from ssd300.errors import DownloadError, ImageError
from ssd300.images import connect, open_source
from ssd300.images import fetch as fetch_module
from ssd300.images.connect import is_public
from ssd300.images.fetch import fetch
from ssd300.images.source import name_of


def test_a_picture_is_fetched_if_the_environment_allows_private_addresses(site, photo, encode, monkeypatch):
    site.pages["/a%20b.png?size=1"] = encode(photo, "PNG")
    url = f"{site.address}/a b.png?size=1#part"
    with pytest.raises(DownloadError, match="refused"):
        open_source(url)
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    assert np.array_equal(open_source(url), photo)
    with pytest.raises(DownloadError, match="refused"):
        fetch(url, allow_private=False)


def test_what_is_no_picture_is_an_image_error_naming_the_address(site, monkeypatch):
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    site.pages["/page"] = b"<!DOCTYPE html><html></html>"
    with pytest.raises(ImageError, match=rf"{site.address}/page: an HTML page, not a picture; expected a JPEG, PNG"):
        open_source(f"{site.address}/page")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site, status):
    site.pages |= {"/old": (status, "/new"), "/new": b"found"}
    assert fetch(f"{site.address}/old", allow_private=True) == b"found"


def test_too_many_redirects(site):
    site.pages["/round"] = (302, "/round")
    with pytest.raises(DownloadError, match=r"/round: more than 5 redirects; pass the picture's own address"):
        fetch(f"{site.address}/round", allow_private=True)
    assert len(site.seen) == 6


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "only http and https addresses"),
        ("ftp://example.com/a.png", "only http and https addresses"),
        ("http://user:secret@example.com/", "with a user name"),
    ],
)
def test_every_hop_is_checked(site, target, message):
    site.pages["/go"] = (302, target)
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(f"{site.address}/go", allow_private=True)
    shown = target.replace("user:secret@", "")
    assert str(caught.value).startswith(f"{site.address}/go (redirected to {shown}): ")


@pytest.mark.parametrize("offline", ["", "1"])
@pytest.mark.parametrize(
    "url", ["http://user:hunter2@127.0.0.1:1/a.jpg", "http://127.0.0.1:1/a.jpg?Password=hunter2&x=1"]
)
def test_messages_name_an_address_without_its_password(url, offline, monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", offline)
    with pytest.raises(DownloadError, match=r"^http://127\.0\.0\.1:1/a\.jpg.*(fetched|SSD300_OFFLINE)") as caught:
        fetch(url, allow_private=True)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "ftp", "s3", "HTTP"])
@pytest.mark.parametrize("password", ["hunter2", "hunter/2", "hunter?2", "hunter#2"])
def test_no_kind_of_address_is_named_with_its_password(scheme, password):
    address = f"{scheme}://user:{password}@host.example/a.jpg"
    assert name_of(address) == f"{scheme}://host.example/a.jpg"
    with pytest.raises((DownloadError, ImageError)) as caught:
        open_source(address)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("password", ["hunter2", "hunter/2", "hunter?2", "hunter#2"])
def test_no_other_password_is_a_remedy_for_a_picture(password):
    with pytest.raises(
        DownloadError, match=r"host\.example/a\.jpg: an address with a user name is not fetched; download"
    ):
        open_source(f"http://user:{password}@host.example/a.jpg")


@pytest.mark.parametrize(
    "name", ["http://host:8080/a@2x.jpg", "http://host:8080?mail=a@b", "file:///a@2x.jpg", "a:b/c@2x.jpg", "c:/a@b.jpg"]
)
def test_names_with_an_at_sign_stay(name):
    assert name_of(name) == name


def test_a_redirect_into_a_private_network_is_refused(site, monkeypatch):
    site.pages["/go"] = (302, "http://10.0.0.1/secret")
    monkeypatch.setattr(connect, "is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(DownloadError, match=r"10\.0\.0\.1 is this machine or in a private network"):
        fetch(f"{site.address}/go")
    assert site.seen == ["/go"]


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch, site):
    """A name that resolves to another address the second time gains nothing: it is resolved once."""
    port = int(site.address.rsplit(":", 1)[1])
    answers = []

    def resolve(host, port, **options):
        answers.append(host)
        return [(fetch_module.socket.AF_INET, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", resolve)
    site.pages["/a"] = b"found"
    assert fetch(f"http://pictures.example:{port}/a", allow_private=True) == b"found"
    assert answers == ["pictures.example"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[::1]", "0.0.0.0",
     "100.64.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused_before_any_connection(host):
    with pytest.raises(DownloadError, match=r"which is refused; SSD300_ALLOW_PRIVATE_URLS=1 allows it, "):
        fetch(f"http://{host}:1/a.jpg")


@pytest.mark.parametrize(
    "address",
    ["::127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", "fec0::1", "64:ff9b:1::808:808", "64:ff9b::a00:1",
     "100::1", "::", "::1", "4000::1", "8000::1", "ff02::1", "ff0e::1", "2001:db8::1",
     "2001:0:0:0:0:0:f5ff:fffe", "2002:a9fe:a9fe::", "2606:2800::5efe:10.0.0.1", "2606:2800::200:5efe:127.0.0.1",
     "fe80::1%eth0", "5f00::1", "0.0.0.1", "192.0.0.1", "192.0.0.192", "168.63.129.16", "198.18.0.1", "255.255.255.255",
     "240.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "2606:2800::5efe:93.184.216.34",
        "2002:5db8:d822::",
        "93.184.216.34",
        "2606:2800:220:1::",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
    ],
)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_forbids_any_socket(value, site, monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", value)
    with pytest.raises(
        DownloadError, match=r"not fetched, SSD300_OFFLINE is set; download the picture and pass its path"
    ):
        fetch(f"{site.address}/a.png", allow_private=True)
    assert site.seen == []


def test_offline_zero_is_online(site, monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", "0")
    site.pages["/a"] = b"found"
    assert fetch(f"{site.address}/a", allow_private=True) == b"found"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://", "only http and https addresses with a host"),
        ("http:///a.jpg", "only http and https addresses with a host"),
        ("http://127.0.0.1:99999/", "not an address"),
        ("http://[::1/", "not an address"),
        ("http://" + "a" * 70 + ".com/", "not an address"),
        ("http://user@127.0.0.1/", "with a user name is not fetched; download the picture"),
        ("http://127.0.0.1:1/a.jpg", r"cannot be fetched \(.*refused.*\); check the address and the network"),
    ],
)
def test_bad_addresses(url, message):
    with pytest.raises(DownloadError, match=message):
        fetch(url, allow_private=True)
