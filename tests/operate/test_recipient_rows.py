"""CSV rows become recipient events; a row that can't says why, and never the whole address."""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import Address, Campaign, Kind
from streams.operate.csv_rows import Row
from streams.operate.errors import UsageFault
from streams.operate.recipient_rows import (
    BadRowError,
    assign_columns,
    build_recipient,
    missing_variables,
    parse_mapping,
)


def campaign(kind: Kind = "marketing") -> Campaign:
    """A campaign of acme."""
    return Campaign(
        tenant="acme",
        campaign_id="autumn",
        kind=kind,
        from_=Address(address="news@acme.example"),
        subject="s",
        html="x",
    )


def row(**cells: str) -> Row:
    """A row of line 2."""
    return Row(line=2, cells=cells)


def test_usual_column_names_are_fields_and_others_variables() -> None:
    """Columns id and email need no --map; what is no field is a variable under its own name."""
    assert assign_columns(["id", "Email", "name"], {}) == {"id": "recipient_id", "Email": "address", "name": "name"}


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        ("{{ name }} {% for n in range(points | int) %}{{ n }}{% endfor %} {{ unsubscribe_url }}", []),
        ("{{ coupon.code }} {% if dict %}x{% endif %} {{ address }}", ["address", "coupon", "dict"]),
        ("{% set a = b %}{{ a }}", ["b"]),
        ("{{ broken", []),
        ("{{ a | nofilter }}", []),
    ],
)
def test_variables_that_no_column_gives_are_known(html: str, missing: list[str]) -> None:
    """In subject and parts alike; a column that is a field is no variable, and what doesn't compile is CONTROL's."""
    assigned = assign_columns(["id", "address", "name", "points"], {})
    assert missing_variables(msgspec.structs.replace(campaign(), html=html), assigned) == missing
    asked = msgspec.structs.replace(campaign(), html=None, text=html, subject="{{ who }}")
    assert missing_variables(asked, assigned) == sorted([*missing, "who"])


def test_a_mapping_wins_over_a_usual_name() -> None:
    """A column called email is a variable once another column is said to be the address."""
    assigned = assign_columns(["id", "email", "work"], parse_mapping(["work=address"]))
    assert assigned == {"work": "address", "id": "recipient_id", "email": "email"}


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (["id", "name"], [], "no column is the address"),
        (["id", "email"], ["mail=address"], "no such column"),
        (["id", "email"], ["email"], "expected column=field"),
        (["a", "b", "email"], ["a=recipient_id", "b=recipient_id"], "two columns feed recipient_id"),
    ],
)
def test_a_mapping_that_can_not_be_meant_is_refused(columns: list[str], options: list[str], words: str) -> None:
    """The error names the column and the option that would put it right."""
    with pytest.raises(UsageFault, match=words):
        assign_columns(columns, parse_mapping(options))


def test_a_row_becomes_an_event_of_the_campaign() -> None:
    """Empty time zone and key are none; variables are kept as text."""
    assigned = assign_columns(["id", "email", "timezone", "name"], {})
    event = build_recipient(row(id=" u1 ", email="a@b.example", timezone="", name="太郎"), assigned, campaign())
    assert (event.tenant, event.campaign_id, event.recipient_id) == ("acme", "autumn", "u1")
    assert event.timezone is None and event.variables == {"name": "太郎"}


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"id": "", "email": "a@b.example"}, "recipient_id is empty"),
        ({"id": "u1", "email": " "}, "address is empty"),
        ({"id": "u1", "email": "secret-person"}, "local-part@domain"),
        ({"id": "u\x001", "email": "a@b.example"}, "recipient_id: "),
        ({"id": "u1", "email": "secret-person@b.example\r\nBcc: x"}, "address: the domain is no host name"),
        ({"id": "u1", "email": "secret-person@b.example\0"}, "address: the domain is no host name"),
    ],
)
def test_a_bad_row_names_the_field_and_not_the_address(cells: dict[str, str], words: str) -> None:
    """Bad rows are printed: they must not tell an address."""
    with pytest.raises(BadRowError, match=words) as caught:
        build_recipient(row(**cells), assign_columns(["id", "email"], {}), campaign())
    assert "secret-person" not in str(caught.value)


def test_a_time_zone_that_is_none_is_a_bad_row() -> None:
    """The gate would end that mail `invalid`; here the row can still be mended."""
    assigned = assign_columns(["id", "email", "timezone"], {})
    with pytest.raises(BadRowError, match="timezone 'Mars/Phobos': expected an IANA time zone"):
        build_recipient(row(id="u1", email="a@b.example", timezone="Mars/Phobos"), assigned, campaign())


def test_transactional_mail_needs_its_key() -> None:
    """A second password reset is a second mail: without dedup_key nobody could tell."""
    assigned = assign_columns(["id", "email", "dedup_key"], {})
    with pytest.raises(BadRowError, match="dedup_key"):
        build_recipient(row(id="u1", email="a@b.example", dedup_key=""), assigned, campaign("transactional"))
    event = build_recipient(row(id="u1", email="a@b.example", dedup_key="k"), assigned, campaign("transactional"))
    assert event.dedup_key == "k"
