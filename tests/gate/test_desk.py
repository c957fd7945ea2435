"""What a recipient event comes to, rule by rule."""

from datetime import timedelta

import pytest

from schemas import ids
from schemas.topics import LARGE_MESSAGE_BYTES
from streams.gate.person import load, table_key
from streams.runtime.dead_letters import Failure
from tests.gate.builders import KEY, MARKETING, NOW, TRANSACTIONAL, Scene, event, heard, recipient


def test_a_good_event_is_dealt_at_once() -> None:
    """The send carries all that its sender needs, and nothing else is said."""
    scene = Scene(providers={"docomo.example": "docomo"})
    scene.world.offsets.update(contents=7, egress=8, suppressions=9)
    out = scene.ask()
    (send,) = out.sends
    campaign = scene.world.campaigns["acme:autumn"]
    assert send.send_id == ids.send_id(recipient())
    assert (send.deal, send.attempt, send.provider, send.pool) == (1, 0, "docomo", "shared")
    assert send.content == scene.world.content_version(campaign)
    assert (send.created_at, send.queued_at, send.due) == (NOW, NOW, NOW)
    assert send.expire_at == NOW + timedelta(hours=24)
    assert (send.views.campaigns, send.views.egress, send.views.suppressions) == (7, 8, 9)
    assert (send.source_topic, send.source_partition, send.source_offset) == (MARKETING, 0, 0)
    assert send.variables == {"name": "太郎"} and send.weights_version != 0
    assert not out.deliveries and not out.letters


def test_a_domain_that_no_list_names_is_dealt_by_its_mail_hosts_once_a_sender_knows_them() -> None:
    """What `domains` says of it; of a domain that a list names it says nothing that counts."""
    scene = Scene()
    found = {"provider": "gmail", "hosts": ["aspmx.l.google.com"], "at": NOW.isoformat()}
    assert scene.ask(to={"address": "u@acme-shop.example"}, dedup_key="a").sends[0].provider == "other"
    for domain in ("acme-shop.example", "docomo.ne.jp"):
        scene.apply("domains", domain, {"domain": domain} | found)
    assert scene.ask(to={"address": "u@Acme-Shop.example"}, dedup_key="b").sends[0].provider == "gmail"
    assert scene.ask(to={"address": "u@docomo.ne.jp"}, dedup_key="c").sends[0].provider == "docomo"
    scene.apply("domains", "acme-shop.example", None)
    assert scene.ask(to={"address": "u@acme-shop.example"}, dedup_key="d").sends[0].provider == "other"


def test_a_replay_says_nothing() -> None:
    """The same coordinates again emit nothing and are counted, also after a restart."""
    scene = Scene()
    scene.ask(offset=5)
    before = dict(scene.tables.rows)
    scene.restarted()
    out = scene.ask(offset=5)
    assert (out.sends, out.deliveries, scene.desk.counters["replayed"]) == ([], [], 1)
    assert scene.tables.rows == before


def test_the_same_mail_asked_for_again_is_a_duplicate() -> None:
    """Other coordinates with the same send id end `duplicate`, naming the first; another dedup_key is another mail."""
    scene = Scene()
    scene.ask()
    (final,) = scene.ask().deliveries
    assert (final.type, final.final, final.rules[0].limit) == (
        "duplicate",
        True,
        "once, as asked by recipients.marketing/0/0",
    )
    assert len(scene.ask(dedup_key="second").sends) == 1


def test_a_mail_that_waits_is_a_duplicate_too() -> None:
    """Asked for twice while the campaign pauses, it goes once."""
    scene = Scene()
    scene.campaign(state="paused")
    assert scene.ask().types == ["waiting"]
    assert scene.ask().types == ["duplicate"]
    scene.campaign()
    assert len(scene.release().sends) == 1


@pytest.mark.parametrize(
    ("fields", "rule", "value", "limit"),
    [
        ({"to": {"address": "no-at-sign"}}, "to.address", "…", "An email address must have an @-sign"),
        ({"to": {"address": "a..b@docomo.example"}}, "to.address", "a…@docomo.example", "two periods in a row"),
        ({"to": {"address": "たろう@docomo.example"}}, "to.address", "た…@docomo.example", "not supported"),
        ({"to": {"address": "taro@\x00docomo.example"}}, "to.address", "t…@·docomo.example", "control character"),
        ({"to": {"address": "ta\r\nro@docomo.example"}}, "to.address", "t…@docomo.example", "control character"),
        ({"to": {"address": "taro@localhost"}}, "to.address", "t…@localhost", "should have a period"),
        ({"to": {"address": "x" * 65 + "@docomo.example"}}, "to.address", "x…@docomo.example", "too long"),
        ({"to": {"channel": "push", "address": "u@docomo.example"}}, "to.channel", "push", "mail"),
        ({"to": {"channel": "fax", "address": "u@docomo.example"}}, "to.channel", "text of 3 characters", "schema"),
        ({"to": {"address": 7}}, "to.address", "int", "str"),
        ({"to": {}}, "to.address", "missing", "required"),
        ({"to": None}, "to", "null", "object"),
        ({"variables": []}, "variables", "array", "object"),
        ({"variables": {"a": {"b": ["x\x00"]}}}, "variables", "text with a NUL", "without NUL"),
        ({"dedup_key": "x" * 201}, "dedup_key", "text of 201 characters", "length <= 200"),
        ({"dedup_key": "a\x00"}, "dedup_key", "text with a NUL", "without NUL"),
        ({"timezone": 9}, "timezone", "int", "str | null"),
        ({"variables": {"a": "x" * 1_100_000}}, "event", "bytes", "bytes"),
    ],
)
def test_a_bad_field_ends_invalid_and_is_named(fields: dict[str, object], rule: str, value: str, limit: str) -> None:
    """Where tenant, campaign and recipient decode, the outcome names field, value and limit, never the address."""
    out = Scene().ask("taro", **fields)
    (final,) = out.deliveries
    assert (final.type, final.final, final.recipient_id, final.source_offset) == ("invalid", True, "taro", 0)
    (found,) = [one for one in final.rules if one.rule == rule]
    assert value in found.value and limit in found.limit
    assert "taro@" not in str(final.rules) and not out.sends and not out.letters


HUGE = b"9" * 5000
NESTED = b"[" * 500 + b"]" * 500


@pytest.mark.parametrize(
    ("fields", "rule", "value"),
    [
        (b'"variables":{"name":%s}' % HUGE, "variables", "a number out of range"),
        (b'"variables":{"a":["x",{"b":-%s}]}' % HUGE, "variables", "a number out of range"),
        (b'"variables":{"name":1e999}', "variables", "a number out of range"),
        (b'"variables":{"name":%s.5}' % HUGE, "variables", "a number out of range"),
        (b'"timezone":%s' % HUGE, "timezone", "a number out of range"),
        (b'"unknown":%s,"dedup_key":"%s"' % (HUGE, b"x" * 201), "dedup_key", "text of 201 characters"),
        (b'"dedup_key":7,"variables":{"name":%s}' % HUGE, "dedup_key", "int"),
        (b'"variables":{"name":%s}' % NESTED, "variables", "more than 32 levels"),
        (b'"unknown":%s,"dedup_key":"%s"' % (NESTED, b"x" * 201), "dedup_key", "text of 201 characters"),
        (b'"variables":{"name":"\\ud800"}', "event", ""),
        (b'"variables":{"\\udfff":%s}' % HUGE, "event", "surrogate"),
        (b'"variables":{"name":NaN}', "event", "malformed"),
        (b'"variables":{"a":1,"a":%s}' % HUGE, "variables", "a number out of range"),
        (b'"variables":{},"variables":[]', "variables", "array"),
    ],
)
def test_values_made_to_break_a_reader_end_invalid(fields: bytes, rule: str, value: str) -> None:
    """Endless numbers, nesting, half a surrogate pair and keys given twice raise nothing: the person is told why."""
    (final,) = (out := Scene().raw(event()[:-1] + b"," + fields + b"}")).deliveries
    assert (final.type, final.recipient_id, final.rules[0].rule) == ("invalid", "u1", rule)
    assert value in final.rules[0].value and final.rules[0].limit
    assert "99999" not in str(final.rules) and not out.sends and not out.letters


def test_a_key_given_twice_counts_by_its_last() -> None:
    """As every JSON reader has it, and the same at each reading."""
    (send,) = Scene().raw(event()[:-1] + b',"variables":{"a":1,"a":2}}').sends
    assert send.variables == {"a": 2}


def test_international_domains_become_a_labels() -> None:
    """The domain is sent in ASCII (RFC 5891); the local part keeps its case."""
    (send,) = Scene().ask(to={"address": "Taro@例え.example"}).sends
    assert send.to.address == "Taro@xn--r8jz45g.example"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"tenant":"acme","campaign_id":"autumn"',
        event()[:-5],
        event().replace(b'"u1"', b"7"),
        event(tenant="ACME"),
        event(tenant="acme\n"),
        event("u1\n"),
        event(campaign_id="a/b"),
        event("x" * 201),
        b"\xff\xfe" + event(),
        event().replace(b'"u1"', b'"\xff"'),
        b"[" * 100_000,
        event().replace(b'"u1"', b'"\\ud800"'),
    ],
)
def test_an_event_that_names_nobody_is_a_dead_letter(value: bytes | None) -> None:
    """The letter keeps the bytes, where they stood and why; nothing else is said."""
    scene = Scene()
    out = scene.raw(value)
    (letter,) = out.letters
    assert letter.value == (value or b"") and letter.headers["reason"] == b"malformed" and letter.headers["error"]
    assert (letter.headers["source-topic"], letter.headers["source-offset"]) == (MARKETING.encode(), b"0")
    assert not out.deliveries and not out.sends and not scene.tables.rows


def test_nesting_that_would_exhaust_a_stack_is_invalid() -> None:
    """33 levels of variables end `invalid`; 32 go."""
    scene = Scene()

    def nested(levels: int) -> dict[str, object]:
        found: object = 1
        for _ in range(levels):
            found = [found]
        return {"a": found}

    assert scene.ask("deep", variables=nested(32)).finals[0].rules[0].rule == "variables"
    assert len(scene.ask("fine", variables=nested(31)).sends) == 1


def test_numbers_that_grow_when_written_again_still_fit() -> None:
    """JSON such as 1e15 is written longer: what would not fit a record any more is refused before."""
    numbers = b"[" + b",".join([b"1e15"] * 180_000) + b"]"
    value = event().replace(b'"variables":{', b'"variables":{"n":' + numbers + b",")
    (final,) = Scene().raw(value).finals
    assert (final.type, final.rules[0].rule) == ("invalid", "variables")


def test_huge_integers_pass_through() -> None:
    """An integer beyond 64 bits reaches the sender as it is, also by way of the waiting room."""
    scene = Scene()
    scene.campaign(state="paused")
    scene.raw(event().replace(b'"name"', b'"n":123456789012345678901234567890,"name"'))
    scene.campaign()
    assert scene.release().sends[0].variables["n"] == 123456789012345678901234567890


def test_transactional_mail_needs_a_dedup_key() -> None:
    """Without it the event is invalid; with it the mail expires after four hours."""
    scene = Scene()
    scene.campaign("reset", kind="transactional")
    (final,) = scene.ask(topic=TRANSACTIONAL, campaign_id="reset").finals
    assert (final.type, final.kind, final.rules[0].rule) == ("invalid", "transactional", "dedup_key")
    (send,) = scene.ask(topic=TRANSACTIONAL, campaign_id="reset", dedup_key="1").sends
    assert send.expire_at == NOW + timedelta(hours=4)


def test_the_topic_must_be_the_campaigns() -> None:
    """A marketing campaign's recipient on the transactional topic would jump the queue: invalid."""
    (final,) = Scene().ask(topic=TRANSACTIONAL, dedup_key="1").finals
    assert (final.type, final.rules[0].rule, final.rules[0].value) == ("invalid", "kind", "transactional")


def test_refused_content_rejects_with_its_reason() -> None:
    """What CONTROL refused to compile is `rejected`, in CONTROL's words."""
    scene = Scene()
    scene.compile(refused="line 3: unknown tag")
    (final,) = scene.ask().finals
    assert (final.type, final.rules[0].rule, final.rules[0].value) == ("rejected", "content", "line 3: unknown tag")


def test_suppression_is_global_or_the_tenants_own() -> None:
    """Another tenant's entry, a lifted one and one that ended don't count; a tenant's own does, whatever the case."""
    scene = Scene()
    scene.suppress("u1@docomo.example", scope="tenant:other")
    scene.suppress("u1@docomo.example", reason="manual", until=NOW)
    key = scene.suppress("u1@docomo.example")
    scene.apply("suppressions", key, None)
    assert len(scene.ask().sends) == 1
    scene.suppress("u2@docomo.example", scope="tenant:acme", reason="unsubscribe", until=NOW + timedelta(days=1))
    (final,) = scene.ask("u2", to={"address": "U2@Docomo.example"}).finals
    assert (final.type, final.rules[0].value, final.address_id) == (
        "suppressed",
        "tenant:acme unsubscribe",
        ids.address_id("u2@docomo.example", KEY),
    )
    assert final.rules[0].next_eligible == NOW + timedelta(days=1)


def test_all_failed_rules_are_named() -> None:
    """Capped twice, suppressed twice, expired, cancelled and asked for before: the gravest is the type."""
    scene = Scene()
    caps = [{"class": "m", "max": 1, "per": "7d"}, {"class": "m", "max": 1, "per": "1d"}]
    scene.tenant(caps=caps)
    scene.campaign(cap_class="m")
    scene.ask()
    scene.suppress("u1@docomo.example")
    scene.suppress("u1@docomo.example", scope="tenant:acme", reason="manual")
    scene.campaign(cap_class="m", state="cancelled", expire_at=NOW)
    (final,) = scene.ask().finals
    assert final.type == "cancelled"
    assert [one.rule for one in final.rules] == [
        "campaign_state",
        "expire_at",
        "duplicate",
        "suppressed",
        "suppressed",
        "capped",
        "capped",
    ]
    eligible = [one.next_eligible for one in final.rules if one.rule == "capped"]
    assert eligible == [NOW + timedelta(days=7), NOW + timedelta(days=1)]


def test_a_capped_person_may_be_asked_again_when_eligible() -> None:
    """A mail that never went leaves no entry: asked again at `next_eligible`, it goes, and not a moment before."""
    scene = Scene()
    scene.tenant(caps=[{"class": "m", "max": 1, "per": "12h"}])
    scene.campaign(cap_class="m")
    scene.campaign("winter", cap_class="m")
    scene.ask()
    (rule,) = scene.ask(campaign_id="winter").finals[0].rules
    assert (rule.value, rule.limit, rule.next_eligible) == ("1", "1 m per 12h", NOW + timedelta(hours=12))
    scene.now = rule.next_eligible - timedelta(milliseconds=1)
    assert scene.ask(campaign_id="winter").types == ["capped"]
    scene.now = rule.next_eligible
    assert len(scene.ask(campaign_id="winter").sends) == 1


def test_a_cap_of_none_lets_nobody_through() -> None:
    """Max 0 caps everyone, for ever."""
    scene = Scene()
    scene.tenant(caps=[{"class": "m", "max": 0, "per": "1d"}])
    scene.campaign(cap_class="m")
    assert scene.ask().finals[0].rules[0].next_eligible is None


def test_slots_beyond_the_topic_get_nothing() -> None:
    """An egress entry without a partition doesn't stop the gate: it is left out, and alone it is no slot."""
    scene = Scene(slots=2)
    scene.egress(7)
    assert {scene.ask(f"u{number}").sends[0].slot for number in range(9)} == {0, 1}
    for slot in range(2):
        scene.egress(slot, state="drained")
    out = scene.ask("late")
    assert (out.types, out.deliveries[0].class_) == (["waiting"], "no_slot")
    assert scene.release().sends == []


def test_entries_are_forgotten_in_time() -> None:
    """A week after the campaign's end (30 days after activation), and as long as a cap looks back, not before."""
    scene = Scene()
    scene.tenant(caps=[{"class": "m", "max": 0, "per": "5w"}])
    scene.ask()
    scene.later(days=37, seconds=-1)
    assert scene.ask().types == ["duplicate"]
    scene.later(seconds=1)
    assert len(scene.ask().sends) == 1
    assert len(load(scene.tables.get(table_key("acme:u1"))).entries) == 1


def test_an_internal_error_ends_rejected_beside_a_dead_letter() -> None:
    """The dead letter stands alone only where the event can't name its person; a return ends its mail."""
    scene = Scene()
    source, failure = scene.source(), Failure(error=ZeroDivisionError("by zero"), tries=3)
    out = heard(scene.desk.reject(source, event(), scene.now, failure))
    assert (out.types, out.finals[0].rules[0].value, len(out.letters)) == (["rejected"], "ZeroDivisionError", 1)
    out = heard(scene.desk.reject(source, b"{", scene.now, failure))
    assert (out.types, len(out.letters)) == ([], 1)
    headers = out.letters[0].headers
    assert (headers["error"], headers["tries"]) == (b"ZeroDivisionError: by zero", b"3")
    assert (headers["reason"], headers["role"]) == (b"internal error", b"gate")


@pytest.mark.parametrize("field", ["expire_at", "start_at"])
def test_a_campaign_that_never_ends_or_starts_is_no_error(field: str) -> None:
    """Upstream writes the calendar's last second for "never": its mail goes, or waits, like any other's."""
    scene = Scene()
    scene.campaign(**{field: "9999-12-31T23:59:59.999999Z"})
    found = scene.ask()
    assert (len(found.sends), [one.class_ for one in found.deliveries]) == (
        (1, []) if field == "expire_at" else (0, ["start"])
    )


def test_a_dead_letter_fits_its_topic_whatever_it_holds() -> None:
    """Bytes and a key that were small on the wire and are large unpacked are cut: the transaction must not fail."""
    scene = Scene()
    (letter,) = scene.raw(b"x" * (LARGE_MESSAGE_BYTES + 1), key=b"k" * LARGE_MESSAGE_BYTES).letters
    headers = sum(len(name) + len(value) for name, value in letter.headers.items())
    assert len(letter.key) + len(letter.value) + headers < LARGE_MESSAGE_BYTES
    assert letter.value == b"x" * len(letter.value)
