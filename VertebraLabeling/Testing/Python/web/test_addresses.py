"""Which names and origins are served; the rest of the rules is tested with real requests."""

from __future__ import annotations

import pytest
from VertebraLabelingLib.errors import InputError

pytest.importorskip("aiohttp", reason="needs the extra 'web'")

from VertebraLabelingWeb.addresses import Addresses, PublicUrl
from VertebraLabelingWeb.transfers import attachment

HERE = Addresses()
PROXY = Addresses(PublicUrl.parse("https://Reading.example.org/spine"))
OPEN = Addresses(any_host=True)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("https://Reading.example.org/spine", "https://reading.example.org/spine/"),
        ("http://10.0.0.7:8443", "http://10.0.0.7:8443/"),
        ("https://a.example:443/x/y/", "https://a.example/x/y/"),
        ("http://[fd00::1]:81/", "http://[fd00::1]:81/"),
    ],
)
def test_a_public_address_is_read(text, read):
    assert str(PublicUrl.parse(text)) == read


@pytest.mark.parametrize(
    "text",
    ["reading.example.org", "ftp://a.example/", "https://", "https://me:pw@a.example/", "https://a.example/?x=1",
     "https://a.example:99999/", "https://[::1/", "javascript:alert(1)", "https://a.example/#x"],
)  # fmt: skip
def test_what_is_no_public_address_is_one_sentence(text):
    with pytest.raises(InputError, match="is no address for --public-url: give it as https://HOST/"):
        PublicUrl.parse(text)


@pytest.mark.parametrize(
    ("addresses", "host", "origin", "allowed"),
    [
        (HERE, "127.0.0.1:8080", None, True),
        (HERE, "localhost:9", "http://localhost:9", True),
        (HERE, "[::1]:8080", "http://[::1]:8080", True),
        (HERE, "127.0.0.1:8080", "http://127.0.0.1:8081", False),
        (HERE, "127.0.0.1.evil.example", None, False),
        (HERE, "evil.example:8080", "http://evil.example:8080", False),
        (HERE, "127.0.0.1:8080", "null", False),
        (HERE, "[", None, False),
        (PROXY, "127.0.0.1:8080", "https://reading.example.org", True),
        (PROXY, "reading.example.org", "https://reading.example.org", True),
        (PROXY, "reading.example.org:443", None, True),
        (PROXY, "127.0.0.1:8080", "http://127.0.0.1:8080", True),
        (PROXY, "reading.example.org", "http://reading.example.org", False),
        (PROXY, "evil.example", "https://reading.example.org", False),
        (PROXY, "reading.example.org", "https://reading.example.org.evil.example", False),
        (OPEN, "anything.example:8080", "http://anything.example:8080", True),
        (OPEN, "anything.example:8080", "http://evil.example", False),
    ],
)
def test_only_the_page_itself_may_ask(addresses, host, origin, allowed):
    assert addresses.allow(host, origin) is allowed


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("balls.csv", "balls.csv", "balls.csv"),
        ("Wirbelsäule 1.mrk.json", "Wirbelsaule 1.mrk.json", "Wirbels%C3%A4ule%201.mrk.json"),
        ("脊柱.mrk.json", "scan.mrk.json", "%E8%84%8A%E6%9F%B1.mrk.json"),
        ("позвоночник.csv", "scan.csv", "%D0%BF"),
        ("عمود.csv", "scan.csv", "%D8%B9"),
        ('a"b\\c%41;.csv', "a_b_c_41;.csv", "a%22b%5Cc%2541%3B.csv"),
    ],
)
def test_downloads_are_named_in_any_script(name, plain, encoded):
    header = attachment(name)
    assert header.isascii() and f'filename="{plain}"; ' in header
    assert header.split("filename*=UTF-8''")[1].startswith(encoded)
