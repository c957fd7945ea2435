"""TOML files of people become the contract's structs, or every wrong field is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.operate.documents import read_campaign, read_egress, read_tenant
from streams.operate.errors import DocumentFault

CAMPAIGN = """
tenant = "acme"
campaign_id = "autumn"
kind = "marketing"
subject = "{{ name }}さんへ"
html_file = "autumn.html"
start_at = 2026-11-24T09:00:00+09:00
[from]
name = "エイクミ"
address = "news@acme.example"
"""


def write(folder: Path, name: str, text: str) -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_campaign_takes_the_text_of_the_files_beside_it(tmp_path: Path) -> None:
    """`html_file` is a path beside the TOML, wherever the command runs."""
    write(tmp_path, "autumn.html", "<p>秋</p>")
    campaign = read_campaign(write(tmp_path, "autumn.toml", CAMPAIGN))
    assert campaign.html == "<p>秋</p>"
    assert campaign.from_.name == "エイクミ"
    assert campaign.start_at is not None and campaign.start_at.utcoffset() is not None


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    """An author corrects a file in one go: each problem has its field, its value and what was expected."""
    text = CAMPAIGN.replace('"acme"', '"Acme!"').replace('"marketing"', '"promo"').replace("subject =", "subjekt =")
    write(tmp_path, "autumn.html", "x")
    with pytest.raises(DocumentFault) as caught:
        read_campaign(write(tmp_path, "autumn.toml", text))
    problems = "\n".join(caught.value.problems)
    assert "unknown field 'subjekt' (did you mean 'subject'?)" in problems
    assert "subject is missing" in problems
    assert "tenant = 'Acme!'" in problems and "kind = 'promo'" in problems
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("2026-11-24T09:00:00+09:00", "2026-11-24T09:00:00"), "timezone"),
        (('html_file = "autumn.html"', ""), "html_file and text_file are missing"),
        (('html_file = "autumn.html"', 'html_file = "autumn.html"\nhtml = "x"'), "both given"),
        (('"autumn.html"', '"spring.html"'), "spring.html"),
        (("[from]", "[from"), "is not TOML"),
        (('address = "news@acme.example"', ""), "from"),
        (('"marketing"', '"marketing"\npace_per_s = inf'), r"pace_per_s = inf: expected a finite number"),
        (
            ('"marketing"', '"marketing"\nwindow = {opens = "08:00", closes = "21:00", outsde = "drop"}'),
            r"unknown field 'window\.outsde' \(did you mean 'outside'\?\)",
        ),
        (("name = ", "nam = "), r"unknown field 'from\.nam'"),
        (
            ('"marketing"', '"marketing"\nwindow = {opens = "25:00", closes = "21:00"}'),
            r"window\.opens = '25:00': expected HH:MM",
        ),
        (('"marketing"', '"promo"'), "kind = 'promo': expected one of marketing, transactional"),
        (('"marketing"', '"marketing"\nheaders = {A = 5}'), r"headers\[\]: Expected `str`"),
        (
            ('"marketing"', '"marketing"\nwindow = {opens = "08:00", closes = "21:00", days = [0, 7]}'),
            r"window\.days\[1\] = 7: ",
        ),
    ],
)
def test_a_wrong_campaign_is_refused_by_name(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """A time without its zone, a missing or doubled body, a torn file: each says which."""
    write(tmp_path, "autumn.html", "x")
    with pytest.raises(DocumentFault, match=words):
        read_campaign(write(tmp_path, "autumn.toml", CAMPAIGN.replace(*change)))


def test_a_file_that_is_not_there_or_no_utf8_is_named(tmp_path: Path) -> None:
    """No traceback for a path that was typed wrong, nor for a file in another encoding."""
    with pytest.raises(DocumentFault, match="No such file"):
        read_tenant(tmp_path / "nobody.toml")
    (tmp_path / "cp932.toml").write_bytes("name = 'エイクミ'".encode("cp932"))
    with pytest.raises(DocumentFault, match="UTF-8"):
        read_tenant(tmp_path / "cp932.toml")


def test_a_tenants_time_zone_must_be_one(tmp_path: Path) -> None:
    """The gate would find it in each mail with a window, and end all of them as `invalid`."""
    tenant = """
tenant = "acme"
name = "Acme"
timezone = "Asia/Tokio"
[[domains]]
domain = "acme.example"
return_path_domain = "bounce.acme.example"
dkim = [{selector = "s1", key_file = "keys/acme-s1.pem"}]
"""
    assert read_tenant(write(tmp_path, "good.toml", tenant.replace("Tokio", "Tokyo"))).timezone == "Asia/Tokyo"
    with pytest.raises(DocumentFault, match="timezone = 'Asia/Tokio': expected an IANA time zone"):
        read_tenant(write(tmp_path, "bad.toml", tenant))
    with pytest.raises(DocumentFault, match=r"unknown field 'domains\[0\]\.dkim\[0\]\.key'"):
        read_tenant(write(tmp_path, "deep.toml", tenant.replace("key_file", 'key = "x", key_file')))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("127.0.0.2", "mail.example"), r"via\.address = 'mail\.example': expected an IPv4 or IPv6 address"),
        (("m0.mail.example", r"m0\r\nMAIL FROM:<>"), "ehlo = "),
        (("m0.mail.example", "mail 0"), "ehlo = 'mail 0': expected the IP's own host name"),
        (("m0.mail.example", "127.0.0.2"), "ehlo = "),
        (('kind = "bind", address = "127.0.0.2"', 'kind = "smarthost", host = "", port = 25'), r"via\.host = ''"),
        (
            ('kind = "bind", address = "127.0.0.2"', 'kind = "smarthost", host = "a..b", port = 25'),
            r"via\.host = 'a\.\.b'",
        ),
    ],
)
def test_what_a_connection_could_not_be_made_with_is_refused(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    """An address that is none, a name that EHLO can't say: told when it is written, not by mail that waits."""
    good = '[[egress]]\nslot = 0\nehlo = "m0.mail.example"\nvia = {kind = "bind", address = "127.0.0.2"}\n'
    with pytest.raises(DocumentFault, match=words):
        read_egress(write(tmp_path, "bad.toml", good.replace(*change)))


@pytest.mark.parametrize("ehlo", ["localhost", "m0.mail.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_ehlo_is_a_host_name_or_an_address_literal(tmp_path: Path, ehlo: str) -> None:
    """RFC 5321 4.1.1.1 and 4.1.3."""
    good = f'[[egress]]\nslot = 0\nehlo = "{ehlo}"\nvia = {{kind = "smarthost", host = "smtp_relay", port = 25}}\n'
    assert read_egress(write(tmp_path, "good.toml", good))[0].ehlo == ehlo


def test_slots_come_from_egress_tables(tmp_path: Path) -> None:
    """One table a slot; a way out that lacks its address, and a slot said twice, are refused."""
    good = '[[egress]]\nslot = 0\nehlo = "m0.mail.example"\nvia = {kind = "bind", address = "127.0.0.2"}\n'
    assert [one.slot for one in read_egress(write(tmp_path, "good.toml", good))] == [0]
    with pytest.raises(DocumentFault, match="slot 0 stands there twice"):
        read_egress(write(tmp_path, "twice.toml", good + good))
    with pytest.raises(DocumentFault, match=r"slot 0: via.address is missing"):
        read_egress(write(tmp_path, "bad.toml", good.replace(', address = "127.0.0.2"', "")))
    with pytest.raises(DocumentFault, match="egress"):
        read_egress(write(tmp_path, "none.toml", "slot = 0"))
