"""Bad input of every kind amid good: who wrote it learns why, and nobody else notices.

1. `EVENTS`: makers of bad recipient events, each with the end it must have: a dead letter or a coded final outcome, and
   the word that its reason must name.
2. `CAMPAIGNS`: campaigns that can't be compiled, whose recipients end `rejected` by the same reason.
3. `RECORDS`: bad records of the other topics that upstream writes: dead letters.
4. A header key that is no UTF-8, which the broker takes: the event beside it counts, good or bad.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from schemas import ids
from tests.support.audit import Coordinates
from tests.support.e2e import Box, until
from tests.support.raw_headers import RawKey, send_raw

TENANT: Final = "strict"
GOOD: Final = f"{TENANT}:good"
RAW: Final = "recipients.marketing"
TRANSACTIONAL: Final = "recipients.transactional"
ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One way to be wrong: its event, and the end it must have (`dead letter`, or a type) with the word it names."""

    name: str
    make: Callable[[int], bytes | dict[str, Any] | None]
    end: str
    names: str
    topic: str = RAW


def person(number: int, **fields: Any) -> dict[str, Any]:
    """A good event of the good campaign, but for these fields."""
    event = {
        "tenant": TENANT,
        "campaign_id": "good",
        "recipient_id": f"bad{number}",
        "to": {"channel": "mail", "address": f"bad{number}@strict.example"},
        "variables": {"name": "花子"},
    }
    return {name: value for name, value in (event | fields).items() if value is not ...}


def to(address: Any) -> dict[str, Any]:
    """A destination."""
    return {"channel": "mail", "address": address}


def nested(levels: int) -> bytes:
    """Variables that deep, as text: Python's own encoder would give up."""
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    return json.dumps(person(levels)).encode().replace(b'{"name": "\\u82b1\\u5b50"}', deep)


EVENTS: Final = (
    Bad(name="cut off", make=lambda n: json.dumps(person(n)).encode()[:-20], end="dead letter", names="truncated"),
    Bad(name="no value", make=lambda n: None, end="dead letter", names="no value"),
    Bad(name="no object", make=lambda n: json.dumps([n]).encode(), end="dead letter", names="event: array"),
    Bad(name="no JSON", make=lambda n: f"u{n};taro".encode(), end="dead letter", names="malformed"),
    Bad(name="no UTF-8", make=lambda n: b'{"tenant":"strict\xff\xfe"}', end="dead letter", names="event"),
    Bad(name="no campaign", make=lambda n: person(n, campaign_id=...), end="dead letter", names="campaign_id"),
    Bad(name="bad tenant", make=lambda n: person(n, tenant="ACME!"), end="dead letter", names="tenant"),
    Bad(name="NUL in id", make=lambda n: person(n, recipient_id=f"u\0{n}"), end="dead letter", names="recipient_id"),
    Bad(name="unknown tenant", make=lambda n: person(n, tenant="nobody"), end="invalid", names="tenant"),
    Bad(name="unknown campaign", make=lambda n: person(n, campaign_id="never"), end="invalid", names="campaign"),
    Bad(name="no destination", make=lambda n: person(n, to=...), end="invalid", names="to"),
    Bad(name="text destination", make=lambda n: person(n, to="taro@strict.example"), end="invalid", names="to"),
    Bad(name="number address", make=lambda n: person(n, to=to(n)), end="invalid", names="to.address"),
    Bad(
        name="bad address", make=lambda n: person(n, to=to(f"u..{n}@strict.example")), end="invalid", names="to.address"
    ),
    Bad(name="no domain", make=lambda n: person(n, to=to("taro")), end="invalid", names="to.address"),
    Bad(
        name="address with a header",
        make=lambda n: person(n, to=to(f"u{n}@strict.example\r\nBcc: all@strict.example")),
        end="invalid",
        names="to.address",
    ),
    Bad(
        name="other channel",
        make=lambda n: person(n, to={"channel": "push", "address": f"u{n}@strict.example"}),
        end="invalid",
        names="to.channel",
    ),
    Bad(
        name="no channel",
        make=lambda n: person(n, to={"channel": "pigeon", "address": f"u{n}@strict.example"}),
        end="invalid",
        names="to.channel",
    ),
    Bad(name="list of variables", make=lambda n: person(n, variables=[n]), end="invalid", names="variables"),
    Bad(name="NUL in variable", make=lambda n: person(n, variables={"name": "a\0b"}), end="invalid", names="variables"),
    Bad(name="deep variables", make=lambda n: nested(40 + n % 8), end="invalid", names="variables"),
    Bad(
        name="huge variables", make=lambda n: person(n, variables={"a": "x" * 1_000_000}), end="invalid", names="event"
    ),
    Bad(name="number as zone", make=lambda n: person(n, timezone=9), end="invalid", names="timezone"),
    Bad(name="long dedup_key", make=lambda n: person(n, dedup_key="x" * 201), end="invalid", names="dedup_key"),
    Bad(
        name="header in variable",
        make=lambda n: person(n, variables={"name": "花子\r\nBcc: all@strict.example"}),
        end="rejected",
        names="subject",
    ),
    Bad(
        name="division by zero",
        make=lambda n: person(n, campaign_id="sums", variables={"n": 0}),
        end="rejected",
        names="html",
    ),
    Bad(
        name="endless loop",
        make=lambda n: person(n, campaign_id="loops", variables={"n": 10**9}),
        end="rejected",
        names="html",
    ),
    Bad(
        name="no dedup_key",
        make=lambda n: person(n, campaign_id="receipt"),
        end="invalid",
        names="dedup_key",
        topic=TRANSACTIONAL,
    ),
    Bad(
        name="wrong topic",
        make=lambda n: person(n, dedup_key=f"k{n}"),
        end="invalid",
        names="kind",
        topic=TRANSACTIONAL,
    ),
)

SUMS: Final = "<p>{{ 100 / n }}</p>"
LOOPS: Final = "{% for a in range(n) %}{% for b in range(n) %}<p>{{ a * b }}</p>{% endfor %}{% endfor %}"

# What is wrong with the campaign, and the word that the refusal names.
CAMPAIGNS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "subject-header": ({"subject": "秋\r\nBcc: all@strict.example"}, "subject"),
    "from-header": ({"from": {"name": "A\r\nBcc: b@strict.example", "address": "news@strict.example"}}, "from.name"),
    "from-address": ({"from": {"name": "A", "address": "news@strict.example\r\nX: y"}}, "from.address"),
    "foreign-from": ({"from": {"name": "A", "address": "news@elsewhere.example"}}, "from.address"),
    "bad-header": ({"headers": {"X-A": "b\r\nBcc: c@strict.example"}}, "headers"),
    "own-header": ({"headers": {"Message-ID": "<1@strict.example>"}}, "headers"),
    "huge-html": ({"html": "<p>" + "x" * 5_000_000 + "</p>"}, "html"),
    "nul-html": ({"html": "<p>a\0b</p>"}, "html"),
    "syntax": ({"html": "<p>{{ name</p>"}, "html"),
    "sandbox": ({"html": "{{ ''.__class__.__mro__ }}"}, "html"),
    "nested-loops": ({"html": "{% for a in x %}" * 30 + "{% endfor %}" * 30}, "html"),
    "empty": ({"html": None, "text": None}, "html"),
}

# Topic, key, value, and the word that the dead letter names.
RECORDS: Final[tuple[tuple[str, str, bytes, str], ...]] = (
    ("campaigns", f"{TENANT}:kindless", b'{"tenant":"strict","campaign_id":"kindless"}', "kind"),
    ("campaigns", f"{TENANT}:other", b'{"tenant":"strict"', "truncated"),
    ("campaigns", f"{TENANT}:bytes", b"\xff\xfe\x00", "campaigns"),
    ("tenants", "strict", b'{"tenant":"strict","name":"x","domains":[]}', "domains"),
    ("egress", "0", b'{"slot":"zero"}', "slot"),
    ("egress", "1", b"null", "egress"),
    ("suppression-requests", "tenant:strict", b'{"action":"forget","scope":"global"}', "action"),
    ("suppression-requests", "tenant:strict", b"[]", "suppression request"),
)


def bad_amid_good(world: Box, *, good: int, bad: int) -> dict[str, Any]:
    """Good and bad interleaved: all good delivered, each bad one ended with its reason, no role troubled."""
    before, logs = world.restarts(), {name: len(text) for name, text in world.logs().items()}
    world.tenant(TENANT)
    world.campaign(GOOD)
    world.campaign(f"{TENANT}:sums", html=SUMS)
    world.campaign(f"{TENANT}:loops", html=LOOPS)
    world.campaign(f"{TENANT}:receipt", kind="transactional")
    letters = _bad_records(world)
    refused = _bad_campaigns(world)
    expected: dict[Coordinates, Bad] = {}
    step = max(1, good // bad)
    for number in range(bad):
        case = EVENTS[number % len(EVENTS)]
        people = [(f"g{n}", f"g{n}@strict.example") for n in range(number * step, min(good - 1, (number + 1) * step))]
        world.recipients(GOOD, people)
        expected[world.produce(case.topic, [(f"{TENANT}:bad{number}", case.make(number))])[0]] = case
    world.recipients(GOOD, [(f"g{n}", f"g{n}@strict.example") for n in range(bad * step, good - 1)])
    expected |= _with_a_raw_header(world, good - 1)
    _each_has_its_end(world, expected)
    _each_has_its_end(world, refused)
    for at, names in letters.items():
        until(partial(_is_dead, world, at), f"the dead letter of {at}")
        assert names in _told(world.audit.dead_letters[at]), (names, world.audit.dead_letters[at])
    _good_ones_went(world, good)
    new = {name: text[logs.get(name, 0) :] for name, text in world.logs().items()}
    assert world.restarts() == before
    assert not [name for name, text in new.items() if "Traceback" in text], _around(new, "Traceback")
    assert not {name: ADDRESS.findall(text)[:3] for name, text in new.items() if ADDRESS.search(text)}
    return {
        "good": good,
        "bad": len(expected) + len(CAMPAIGNS) + len(RECORDS),
        "ends": Counter(c.end for c in expected.values()),
    }


def _with_a_raw_header(world: Box, number: int) -> dict[Coordinates, Bad]:
    """The last good event and one that is cut off, in one batch whose header keys are no UTF-8."""
    good = person(number, recipient_id=f"g{number}", to=to(f"g{number}@strict.example"))
    key = f"{TENANT}:g{number}".encode()
    records = [(key, body, [(RawKey(), b"1")]) for body in (json.dumps(good).encode(), json.dumps(good).encode()[:-20])]
    kafka = world.settings.kafka
    partition = ids.partition_for(key, kafka.gate_partitions)
    first = asyncio.run(send_raw(str(kafka.bootstrap), world.settings.topic(RAW), records, partition=partition))
    cut = Bad(name="raw header key", make=lambda n: None, end="dead letter", names="truncated")
    return {Coordinates(RAW, partition, first + 1): cut}


def _bad_campaigns(world: Box) -> dict[Coordinates, Bad]:
    expected: dict[Coordinates, Bad] = {}
    for name, (fields, names) in CAMPAIGNS.items():
        world.campaign(f"{TENANT}:{name}", **fields)
        (at,) = world.recipients(f"{TENANT}:{name}", [("u1", "refused@strict.example")])
        expected[at] = Bad(name=name, make=lambda n: None, end="rejected", names=names)
    return expected


def _bad_records(world: Box) -> dict[Coordinates, str]:
    return {world.produce(topic, [(key, value)])[0]: names for topic, key, value, names in RECORDS}


def _each_has_its_end(world: Box, expected: dict[Coordinates, Bad]) -> None:
    """Wait for all ends, then compare each with what it must be."""

    def ends() -> dict[Coordinates, list[dict[str, Any]]]:
        world.balance()
        return {at: many for finals in world.audit.finals.values() for at, many in finals.items() if at in expected}

    def open_ones() -> list[tuple[str, Coordinates]]:
        known = ends().keys() | world.audit.dead_letters.keys()
        return [(case.name, at) for at, case in expected.items() if at not in known]

    until(lambda: not open_ones(), lambda: f"without an end: {open_ones()[:5]}\n{world.trouble()}")
    finals = ends()
    wrong = [
        (case.name, case.end, case.names, found)
        for at, case in expected.items()
        if not _is_its_end(case, found := finals.get(at, [world.audit.dead_letters.get(at, {})]))
    ]
    assert not wrong, f"{len(wrong)} ended otherwise: {wrong[:8]}"


def _is_dead(world: Box, at: Coordinates) -> bool:
    world.balance()
    return at in world.audit.dead_letters


def _is_its_end(case: Bad, found: list[dict[str, Any]]) -> bool:
    """Whether there is one end, of this kind, whose reason names the field."""
    if len(found) != 1 or found[0].get("type", "dead letter") != case.end:
        return False
    told = " ".join(f"{rule['rule']} {rule['value']}" for rule in found[0].get("rules", ())) or _told(found[0])
    return re.search(rf"\b{re.escape(case.names)}\b", told) is not None


def _good_ones_went(world: Box, good: int) -> None:
    def gone() -> int:
        world.balance()
        ends = [one for many in world.audit.finals[GOOD].values() for one in many]
        return sum(one["type"] == "accepted" for one in ends)

    until(lambda: gone() >= good, lambda: f"{gone()} of {good} good ones accepted\n{world.trouble()}")
    assert world.accepted(domain="strict.example") == {f"g{n}@strict.example": 1 for n in range(good)}


def _told(letter: dict[str, str]) -> str:
    """All that a dead letter says of its reason."""
    return f"{letter.get('reason', '')} {letter.get('error', '')}"


def _around(logs: dict[str, str], word: str) -> str:
    return "\n".join(text[max(0, text.find(word) - 300) :][:3_000] for text in logs.values() if word in text)
