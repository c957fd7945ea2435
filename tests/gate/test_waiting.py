"""The waiting room's rows: one provider's mail never waits behind another's, and rows of the older layout are kept."""

from __future__ import annotations

from datetime import timedelta

from streams.gate.waiting import RETURNED, WaitingRoom
from tests.gate.builders import NOW, Scene, Tables

DOMAINS = {"docomo.example": "docomo", "gmail.example": "gmail"}


def to(name: str, domain: str) -> dict[str, str]:
    """An address."""
    return {"address": f"{name}@{domain}"}


def rows_of(scene: Scene) -> list[bytes]:
    """What waits, as stored."""
    return [key for key in scene.tables.rows if key.startswith(b"w/")]


def older(scene: Scene) -> None:
    """Write what waits as it was written when rows had no provider."""
    for key in rows_of(scene):
        prefix, campaign, _, lane, due, send_id = key.split(b"/")
        value = scene.tables.rows[key]
        scene.tables.delete(key)
        scene.tables.put(b"/".join((prefix, campaign, lane, due, send_id)), value)


def test_a_key_names_campaign_provider_lane_due_and_send() -> None:
    """In that order, so that a scan meets the next one of a campaign at a provider first."""
    scene = Scene(providers=DOMAINS)
    scene.campaign(state="paused")
    scene.ask()
    (key,) = rows_of(scene)
    assert key.startswith(b"w/acme:autumn/docomo/n/0") and len(key.split(b"/")) == 6


def test_one_provider_does_not_wait_behind_another() -> None:
    """A thousand wait for the capacity of one; the mails to the other go as they come and as they are released."""
    scene = Scene(providers=DOMAINS)
    scene.lease(per_pool_s={"shared": 1000.0}, capacity_per_s={"shared/docomo": 0.0})
    for number in range(100):
        assert scene.ask(f"d{number}").deliveries[0].class_ == "capacity"
        scene.ask(f"g{number}", to=to("g", "gmail.example"))
    scene.later(seconds=1)
    out = scene.release()
    assert len(out.sends) + scene.offset - 200 >= 0
    assert {one.provider for one in out.sends} <= {"gmail"} and scene.desk.waiting == 100


def test_rows_of_the_older_layout_are_brought_over_and_go() -> None:
    """New, returned and damaged ones; they count as waiting meanwhile, and go in the order in which they waited."""
    scene = Scene(providers=DOMAINS)
    (sent,) = scene.ask("back").sends
    scene.give("retry", sent, due_s=60)
    scene.campaign(state="paused")
    for number in range(30):
        scene.later(milliseconds=1)
        scene.ask(f"u{number:02}", to=to(f"u{number}", list(DOMAINS)[number % 2]))
    older(scene)
    damaged = b"w/acme:autumn/n/%014d/%032d" % (1, 7)
    scene.tables.put(damaged, b"\xc1")
    assert scene.restarted().waiting == 32
    scene.campaign()
    scene.later(seconds=60)
    sends, letters = [], 0
    for _ in range(20):
        assert scene.desk.next_release(scene.now) in {scene.now, None}
        out = scene.release(limit=5)
        sends += out.sends
        letters += len(out.letters)
        scene.restarted()
    assert letters == 1 and scene.desk.waiting == 0 and not rows_of(scene)
    assert {one.recipient_id for one in sends} == {"back", *(f"u{number:02}" for number in range(30))}
    for provider in DOMAINS.values():
        names = [one.recipient_id for one in sends if one.provider == provider and one.deal == 1]
        assert names == sorted(names)


def test_the_index_is_what_the_rows_say() -> None:
    """After any number of moves: counts by lane, and a due time no later than the first."""
    tables, scene = Tables(), Scene(providers=DOMAINS)
    scene.tables = tables
    scene.restarted()
    (sent,) = scene.ask("back").sends
    scene.give("parked", sent, due_s=5)
    scene.campaign(state="paused")
    scene.ask("u1")
    found = WaitingRoom(tables)
    queue = found.campaigns["acme:autumn"].by_provider["docomo"]
    assert (len(found), queue.rows) == (2, {"r": 1, "t": 0, "n": 1})
    assert queue.due_ms[RETURNED] == (NOW + timedelta(seconds=5)).timestamp() * 1000
    ((key, _),) = found.first("acme:autumn", "docomo", RETURNED, 10)
    found.remove(key)
    assert (len(found), queue.rows[RETURNED], len(WaitingRoom(tables))) == (1, 0, 1)
