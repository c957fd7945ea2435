"""What waits goes when it may, ends when it must, and in a fair order."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from schemas.events import Return
from streams.gate.person import dump, load, table_key
from streams.runtime.dead_letters import Failure
from streams.runtime.errors import RuntimeFault
from tests.gate.builders import MARKETING, NOW, TRANSACTIONAL, Scene, Tables


def test_the_waiting_event_names_the_reason_once() -> None:
    """One `waiting` event, not final, with the first reason; releases that change nothing say nothing."""
    scene = Scene()
    scene.campaign(state="paused")
    (event,) = scene.ask().deliveries
    assert (event.type, event.final, event.class_, event.source_offset) == ("waiting", False, "paused", 0)
    for _ in range(3):
        assert scene.release().deliveries == []
    assert scene.desk.waiting == 1


@pytest.mark.parametrize(
    ("campaign", "rule", "value", "limit"),
    [
        (None, "unknown_campaign", "new is unknown", "known within 600 s"),
        ({"compiled": False}, "content", "new is not compiled", "compiled within 600 s"),
        ({"state": "paused"}, "paused", "new is paused", "running"),
        ({"start_at": NOW + timedelta(hours=1)}, "start", NOW.isoformat(), (NOW + timedelta(hours=1)).isoformat()),
        ({"pool": "nopool"}, "no_slot", "pool nopool", "an active slot"),
        ({"pace_per_s": 5}, "pace", "5 a second are taken or not granted", "a turn under the campaign's pace"),
    ],
)
def test_a_waiting_event_says_why_and_for_what(
    campaign: dict[str, Any] | None, rule: str, value: str, limit: str
) -> None:
    """One rule with the value met and what is needed; a start is also when the person is next eligible."""
    scene = Scene()
    if campaign is not None:
        scene.campaign("new", **campaign)
    (event,) = scene.ask(campaign_id="new").deliveries
    (found,) = event.rules
    assert (event.type, event.class_) == ("waiting", rule)
    assert (found.rule, found.value, found.limit) == (rule, value, limit)
    assert found.next_eligible == (NOW + timedelta(hours=1) if rule == "start" else None)


def test_an_unknown_campaign_is_waited_for() -> None:
    """It goes as soon as the campaign is known and compiled; its Date is when it was first seen."""
    scene = Scene()
    assert scene.ask(campaign_id="new").deliveries[0].class_ == "unknown_campaign"
    scene.later(minutes=9)
    scene.campaign("new", compiled=False)
    assert scene.ask("u2", campaign_id="new").deliveries[0].class_ == "content"
    assert scene.release().sends == []
    scene.compile("new")
    sends = scene.release().sends
    assert [one.recipient_id for one in sends] == ["u1", "u2"]
    assert (sends[0].created_at, sends[0].queued_at) == (NOW, scene.now)


def test_an_unknown_campaign_is_waited_for_ten_minutes_at_most() -> None:
    """Then the event is invalid by the rule `campaign`, and the entry is gone: it may be asked for again."""
    scene = Scene()
    scene.ask(campaign_id="new")
    scene.release()
    scene.later(seconds=599)
    assert scene.release().finals == []
    scene.later(seconds=1)
    (final,) = scene.release().finals
    assert (final.type, final.rules[0].rule, final.rules[0].limit) == ("invalid", "campaign", "known within 600 s")
    assert scene.tables.rows == {} and scene.desk.waiting == 0


def test_an_unknown_tenant_is_waited_for_like_its_campaign() -> None:
    """Topics are read apart: recipients may be here before their tenant.  In the end the rules name both."""
    scene = Scene()
    assert scene.ask(tenant="nobody").deliveries[0].class_ == "unknown_campaign"
    scene.release()
    scene.later(minutes=10)
    (final,) = scene.release().finals
    assert (final.type, [rule.rule for rule in final.rules]) == ("invalid", ["tenant", "campaign"])


def test_an_edit_that_is_being_compiled_starts_its_own_clock() -> None:
    """A mail that has waited hours for its pace isn't invalid because its campaign was edited a moment ago."""
    scene = Scene()
    scene.campaign(pace_per_s=1.0)
    scene.ask()
    scene.later(hours=3)
    scene.release()
    scene.campaign(pace_per_s=1.0, subject="Hello again", compiled=False)
    assert scene.release().finals == []
    scene.compile()
    scene.lease({"acme:autumn": 1.0})
    scene.later(seconds=1)
    assert scene.release().sends[0].content == scene.world.content_version(scene.world.campaigns["acme:autumn"])


def test_a_pause_holds_and_its_end_releases() -> None:
    """Pause and resume by control take effect at the next release; so does the pause of a whole tenant."""
    for key in ("campaign/acme:autumn", "tenant/acme"):
        scene = Scene()
        target, _, name = key.partition("/")
        pause = {"target": target, "key": name, "state": "paused", "by": "t", "reason": "t", "at": NOW}
        scene.apply("controls", key, pause)
        scene.ask()
        assert scene.release().sends == []
        scene.apply("controls", key, None)
        assert len(scene.release().sends) == 1


def test_a_tenant_that_is_paused_sends_no_transactional_mail_either() -> None:
    """As the fuse does it: receivers judge the IP, whatever the kind of mail."""
    scene = Scene()
    scene.campaign("reset", kind="transactional")
    pause = {"target": "tenant", "key": "acme", "state": "paused", "by": "automation:tenant-bounces", "reason": "t"}
    scene.apply("controls", "tenant/acme@tenant-bounces", pause | {"at": NOW, "until": NOW + timedelta(hours=1)})
    held = scene.ask("u1", campaign_id="reset", dedup_key="1", topic=TRANSACTIONAL)
    assert (held.sends, held.deliveries[0].class_) == ([], "paused")
    scene.later(hours=1)
    assert [one.recipient_id for one in scene.release().sends] == ["u1"]


def test_a_cancellation_ends_all_that_waits_in_batches() -> None:
    """Also what isn't due yet; never more than the limit at once."""
    scene = Scene()
    (send,) = scene.ask("late").sends
    scene.give("retry", send, due_s=3600)
    scene.campaign(state="paused")
    for number in range(100):
        scene.ask(f"u{number}")
    scene.campaign(state="cancelled")
    sizes = []
    types = set()
    while scene.desk.waiting:
        finals = scene.release(limit=40).finals
        sizes.append(len(finals))
        types |= {one.type for one in finals}
    assert (sizes, types) == ([40, 40, 21], {"cancelled"})


def test_start_is_waited_for_and_the_term_counts_from_it() -> None:
    """A campaign loaded two days ahead starts in time, and its mails have their 24 hours from then."""
    scene = Scene()
    start = NOW + timedelta(days=2)
    scene.campaign(start_at=start)
    assert scene.ask().deliveries[0].class_ == "start"
    scene.now = start - timedelta(milliseconds=1)
    assert scene.release().deliveries == []
    scene.now = start
    assert scene.release().sends[0].expire_at == start + timedelta(hours=24)


@pytest.mark.parametrize(("ends", "after"), [(None, 24), (NOW + timedelta(hours=5), 5), (NOW + timedelta(days=9), 24)])
def test_what_waits_too_long_expires(ends: object, after: int) -> None:
    """At the campaign's end or the term by kind, whichever is first, also under a pause."""
    scene = Scene()
    scene.campaign(state="paused", expire_at=ends)
    scene.ask()
    scene.later(hours=after, milliseconds=-1)
    assert scene.release().finals == []
    scene.later(milliseconds=1)
    assert [one.type for one in scene.release().finals] == ["expired"]


def test_a_thousand_mails_expire_under_a_pause_in_one_go() -> None:
    """A pause costs one look; its expiries aren't held to one a release."""
    scene = Scene()
    scene.campaign(state="paused")
    for number in range(1000):
        scene.ask(f"u{number}")
    scene.later(hours=24)
    assert len(scene.release().finals) == 1000


def test_a_suppression_added_while_a_thousand_wait_stops_each() -> None:
    """None of the suppressed goes, however it waited; all others go."""
    scene = Scene()
    scene.campaign(state="paused")
    for number in range(1000):
        scene.ask(f"u{number}")
    for number in range(0, 1000, 2):
        scene.suppress(f"u{number}@docomo.example")
    scene.campaign()
    out = scene.release()
    assert {one.recipient_id for one in out.sends} == {f"u{number}" for number in range(1, 1000, 2)}
    assert {one.recipient_id for one in out.finals} == {f"u{number}" for number in range(0, 1000, 2)}
    assert {one.type for one in out.finals} == {"suppressed"}


def test_caps_are_checked_again_at_release() -> None:
    """Five campaigns wait for one person with a cap of three: three go, two are capped."""
    scene = Scene()
    scene.tenant(caps=[{"class": "m", "max": 3, "per": "7d"}])
    for number in range(5):
        scene.campaign(f"c{number}", cap_class="m", state="paused")
        scene.ask(campaign_id=f"c{number}")
    for number in range(5):
        scene.campaign(f"c{number}", cap_class="m")
    out = scene.release()
    assert (len(out.sends), [one.type for one in out.finals]) == (3, ["capped", "capped"])


def test_a_pace_is_kept() -> None:
    """Ten a second, leased, in the order of arrival; none without a lease."""
    scene = Scene()
    scene.campaign(pace_per_s=120.0)
    assert scene.ask("early").deliveries[0].class_ == "pace"
    scene.lease({"acme:autumn": 10.0}, ttl_s=4)
    for number in range(50):
        scene.later(milliseconds=1)
        assert scene.ask(f"u{number:02}").sends == []
    order, counts = [], []
    for _ in range(6):
        sends = scene.release().sends
        order += [one.recipient_id for one in sends]
        counts.append(len(sends))
        scene.later(seconds=1)
    assert counts == [0, 10, 10, 10, 0, 0]  # the lease ends after four seconds
    assert order == ["early", *(f"u{number:02}" for number in range(29))]


def test_a_new_pace_counts_at_once() -> None:
    """Leased more, it goes faster from the next release on; freed of its pace, all goes."""
    scene = Scene()
    scene.campaign(pace_per_s=1.0)
    scene.lease({"acme:autumn": 1.0})
    for number in range(100):
        scene.ask(f"u{number}")
    scene.release()
    scene.lease({"acme:autumn": 20.0})
    scene.later(seconds=1)
    assert len(scene.release().sends) == 20
    scene.campaign()
    assert len(scene.release().sends) == 80


def test_transactional_goes_first_and_campaigns_take_turns() -> None:
    """A thousand of one campaign don't hold up ten of another, and a reset passes both."""
    scene = Scene()
    for name in ("big", "small"):
        scene.campaign(name, state="paused")
    scene.campaign("reset", kind="transactional", state="paused")
    for number in range(1000):
        scene.ask(f"u{number}", campaign_id="big")
    for number in range(10):
        scene.ask(f"u{number}", campaign_id="small")
        scene.ask(f"u{number}", campaign_id="reset", dedup_key="1", topic=TRANSACTIONAL)
    for name in ("big", "small"):
        scene.campaign(name)
    scene.campaign("reset", kind="transactional")
    names = [one.campaign_id for one in scene.release(limit=60).sends]
    assert set(names[:10]) == {"reset"} and names.count("small") == 10 and len(names) == 60


def test_small_limits_are_fair_too() -> None:
    """Where a release can't serve all, the next goes on with the next campaign."""
    scene = Scene()
    for name in ("a", "b", "c"):
        scene.campaign(name, state="paused")
        for number in range(90):
            scene.ask(f"u{number}", campaign_id=name)
    for name in ("a", "b", "c"):
        scene.campaign(name)
    names = [one.campaign_id for _ in range(6) for one in scene.release(limit=16).sends]
    assert {name: names.count(name) for name in "abc"} == {"a": 32, "b": 32, "c": 32}


def test_a_restart_finds_all_that_waits() -> None:
    """The index in memory is made again from the tables."""
    scene = Scene()
    scene.campaign(state="paused")
    for number in range(20):
        scene.ask(f"u{number}")
    assert scene.restarted().waiting == 20
    scene.campaign()
    assert len(scene.release().sends) == 20 and scene.desk.waiting == 0


def test_next_release_says_when() -> None:
    """Nothing waits: None.  Else the due time, the pace's credit, now for a cancellation, or a second's idling."""
    scene = Scene()
    assert scene.desk.next_release(scene.now) is None
    (send,) = scene.ask("first").sends
    scene.give("retry", send, due_s=300)
    assert scene.desk.next_release(scene.now) == NOW + timedelta(seconds=300)
    scene.later(seconds=300)
    assert scene.desk.next_release(scene.now) == scene.now
    assert len(scene.release().sends) == 1
    scene.campaign(pace_per_s=2.0)
    scene.lease({"acme:autumn": 2.0})
    scene.ask("second")
    scene.ask("third")
    due = scene.desk.next_release(scene.now)
    assert due is not None and timedelta() < due - scene.now < timedelta(seconds=0.51)
    assert scene.release().sends == []
    scene.now = due
    assert len(scene.release().sends) == 1
    scene.campaign(state="paused")
    assert scene.desk.next_release(scene.now) == scene.now + timedelta(seconds=1)
    scene.campaign(state="cancelled")
    assert scene.desk.next_release(scene.now) == scene.now


def test_a_damaged_row_does_not_hold_up_the_rest() -> None:
    """Bytes that are no row become a dead letter, a row without an entry ends `rejected`; the others go."""
    scene = Scene()
    scene.campaign(state="paused")
    for name in ("u1", "u2", "u3"):
        scene.ask(name)
    rows = [key for key in scene.tables.rows if key.startswith(b"w/")]
    scene.tables.put(rows[0], b"\xc1")
    lost = next(key for key in rows[1:] if b"u2" in scene.tables.rows[key] or b"u1" in scene.tables.rows[key])
    name = "u2" if b"u2" in scene.tables.rows[lost] else "u1"
    person = load(scene.tables.get(table_key(f"acme:{name}")))
    scene.tables.put(table_key(f"acme:{name}"), dump(person.without(person.entries[0].send_id)))
    scene.campaign()
    out = scene.release()
    assert (len(out.sends), out.types, len(out.letters)) == (1, ["rejected"], 2)
    assert scene.desk.waiting == 0 and scene.desk.counters["rows_lost"] == 2


def test_a_mail_without_a_record_of_its_person_does_not_stop_the_release() -> None:
    """A person's record that does not decode ends that mail alone."""
    scene = Scene()
    scene.campaign(state="paused")
    scene.ask("u1")
    scene.ask("u2")
    scene.tables.put(table_key("acme:u1"), b"\xc1")
    scene.campaign()
    out = scene.release()
    assert [one.recipient_id for one in out.sends] == ["u2"]
    assert (out.types, out.finals[0].recipient_id) == (["rejected"], "u1")
    with pytest.raises(msgspec.MsgspecError):
        scene.ask("u1", topic=MARKETING)


class UnreadableError(RuntimeFault):
    """As a store raises it."""


class Unreadable(Tables):
    """Tables of which one key can't be read."""

    def __init__(self, rows: dict[bytes, bytes], key: bytes) -> None:
        """The rows, and which of them."""
        super().__init__()
        for name, value in rows.items():
            self.put(name, value)
        self._key = key

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or not."""
        if key == self._key:
            raise UnreadableError
        return super().get(key)


def test_a_table_that_can_not_be_read_ends_no_mail() -> None:
    """A fault of the disk is the worker's: it is not told as the mail's `rejected`, and the row stays."""
    scene = Scene()
    scene.campaign(state="paused")
    scene.ask("u1")
    scene.campaign()
    rows = dict(scene.tables.rows)
    scene.tables = Unreadable(rows, table_key("acme:u1"))
    scene.restarted()
    with pytest.raises(UnreadableError):
        scene.release()
    assert scene.tables.rows == rows


def test_a_table_that_can_not_be_read_ends_no_return() -> None:
    """Neither is a return told as rejected: its mail is decided on by whoever reads the table next."""
    scene = Scene()
    (send,) = scene.ask("u1").sends
    back = msgspec.json.encode(Return(kind="retry", send=send, due=scene.now, reason="t", at=scene.now))
    scene.tables = Unreadable(dict(scene.tables.rows), table_key("acme:u1"))
    desk = scene.restarted()
    with pytest.raises(UnreadableError):
        desk.reject(scene.source("returns"), back, scene.now, Failure(error=ZeroDivisionError()))
