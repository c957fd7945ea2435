"""The waiting room under everything at once: leases, pauses, windows, providers, returns, IPs that go, restarts.

Whatever happens, in memory is what is in the tables, each mail waits once, is with its sender or has ended, and once
all is open nothing is left behind.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Send
from streams.gate.person import PERSONS, load
from streams.gate.waiting import LANES, WaitingRoom, due_ms
from tests.gate.builders import TRANSACTIONAL, Heard, Scene

DOMAINS: Final = {f"{name}.example": name for name in ("docomo", "gmail", "yahoo")}
CAMPAIGNS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "theirs": {"tenant": "other"},
    "paced": {"pace_per_s": 5.0},
    "day": {"window": {"opens": "08:00", "closes": "21:00"}},
    "drop": {"window": {"opens": "02:00", "closes": "04:00", "outside": "drop"}},
    "reset": {"kind": "transactional"},
}
ZONES: Final = ("", "Asia/Tokyo", "America/New_York")
RATES: Final = (0.0, 2.0, 50.0)
names = st.sampled_from(sorted(CAMPAIGNS))

steps = st.one_of(
    st.tuples(st.just("ask"), names, st.sampled_from(sorted(DOMAINS)), st.sampled_from(ZONES), st.integers(1, 8)),
    st.tuples(st.just("ask"), names, st.sampled_from(sorted(DOMAINS)), st.sampled_from(ZONES), st.integers(1, 8)),
    st.tuples(st.just("lease"), st.sampled_from(RATES), st.sampled_from(RATES)),
    st.tuples(st.just("state"), names, st.sampled_from(["running", "paused"])),
    st.tuples(st.just("cancel"), names),
    st.tuples(st.just("slots"), st.sampled_from(["active", "drained"])),
    st.tuples(st.just("return"), st.sampled_from(["retry", "parked", "drained"]), st.integers(0, 99)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 60.0, 3600.0, 8 * 3600.0])),
    st.tuples(st.just("release"), st.integers(1, 12)),
    st.tuples(st.just("release"), st.just(300)),
    st.tuples(st.just("restart")),
)


class Room:
    """A scene, and where each of its mails stands by what was said."""

    def __init__(self) -> None:
        """Six campaigns at three providers."""
        self.scene = Scene(providers=DOMAINS)
        self.scene.tenant("other", weight=3.0)
        self.states: dict[str, str] = dict.fromkeys(CAMPAIGNS, "running")
        for name in CAMPAIGNS:
            self.campaign(name)
        self.stands: dict[int, str] = {}  # by source offset: waits, dealt, ended
        self.sends: dict[int, Send] = {}

    def campaign(self, name: str) -> None:
        """Upstream's word on a campaign."""
        self.scene.campaign(name, state=self.states[name], **CAMPAIGNS[name])

    def play(self, step: tuple[Any, ...]) -> None:
        """One thing that happens."""
        scene = self.scene
        match step:
            case ("ask", name, domain, zone, count):
                for _ in range(count):
                    self.ask(name, domain, zone)
            case ("lease", pool, docomo):
                rates = {"per_pool_s": {"shared": pool}, "capacity_per_s": {"shared/docomo": docomo}}
                scene.lease({"acme:paced": 5.0}, ttl_s=10 * 3600, **rates)
            case ("state", name, state) if self.states[name] != "cancelled":
                self.states[name] = state
                self.campaign(name)
            case ("cancel", name):
                self.states[name] = "cancelled"
                self.campaign(name)
            case ("slots", state):
                for slot in (0, 1):
                    scene.egress(slot, state=state)
            case ("return", kind, pick) if self.sends:
                offset = sorted(self.sends)[pick % len(self.sends)]
                scene.give(kind, self.sends.pop(offset), due_s=pick * 20)
                self.stands[offset] = "waits"
            case ("pass", seconds):
                scene.later(seconds=seconds)
            case ("release", limit):
                out = scene.release(limit)
                assert len(out.sends) + len(out.finals) <= limit
                self.hear(out)
            case ("restart",):
                scene.restarted()

    def ask(self, name: str, domain: str, zone: str) -> None:
        """A mail to a person of its own."""
        fields = {"campaign_id": name, "timezone": zone or None, "dedup_key": "1"}
        topic = {"topic": TRANSACTIONAL} if name == "reset" else {}
        person = f"u{self.scene.offset}"
        tenant = CAMPAIGNS[name].get("tenant", "acme")
        self.stands[self.scene.offset] = "asked"
        self.hear(self.scene.ask(person, tenant=tenant, to={"address": f"{person}@{domain}"}, **fields, **topic))

    def hear(self, out: Heard) -> None:
        """Follow what was said."""
        assert not out.letters and not out.forwarded
        for send in out.sends:
            assert self.stands[send.source_offset] in {"asked", "waits"}, "dealt twice"
            assert self.states[send.campaign_id] == "running"
            self.stands[send.source_offset], self.sends[send.source_offset] = "dealt", send
        for delivery in out.deliveries:
            before = self.stands[delivery.source_offset]
            assert before in ({"asked", "waits"} if delivery.final else {"asked"})
            self.stands[delivery.source_offset] = "ended" if delivery.final else "waits"

    def holds(self) -> None:
        """What is true at any moment."""
        room, tables = self.scene.desk._room, self.scene.tables
        assert Counter(self.stands.values())["waits"] == self.scene.desk.waiting
        found = WaitingRoom(tables)
        assert {key: set(one.by_provider) for key, one in found.campaigns.items()} == {
            key: set(one.by_provider) for key, one in room.campaigns.items()
        }
        for key, queues in found.campaigns.items():
            for provider, queue in queues.by_provider.items():
                known = room.campaigns[key].by_provider[provider]
                assert known.rows == queue.rows
                assert all(known.due_ms[lane] <= queue.due_ms[lane] for lane in LANES)
                for lane in LANES:
                    rows = room.first(key, provider, lane, 1_000)
                    assert len(rows) == queue.rows[lane], "a row that no scan meets"
                    assert [due_ms(row) for row, _ in rows] == sorted(due_ms(row) for row, _ in rows)
        entries = [one for key, value in tables.rows.items() if key.startswith(PERSONS) for one in load(value).entries]
        assert sum(entry.waits for entry in entries) == self.scene.desk.waiting
        assert self.scene.desk.waiting == 0 or self.scene.desk.next_release(self.scene.now) is not None


@given(st.lists(steps, min_size=10, max_size=50))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_or_doubled_and_nothing_stays_behind(given_steps: list[tuple[Any, ...]]) -> None:
    """At the end all is open for a day: what was not cancelled went or ended, and the room is empty."""
    room = Room()
    for step in given_steps:
        room.play(step)
        room.holds()
    for name, state in room.states.items():
        room.play(("state", name, "running" if state == "paused" else state))
    room.play(("slots", "active"))
    for _ in range(60):
        room.play(("lease", 50.0, 50.0))
        room.play(("pass", 3600.0))
        room.play(("release", 300))
    room.holds()
    assert room.scene.desk.waiting == 0
    assert set(room.stands.values()) <= {"dealt", "ended"}


def test_a_look_sees_a_mail_within_the_time_that_next_release_said() -> None:
    """Asked in turn for the next time, and released then, all goes at the rate that is leased."""
    room = Room()
    room.play(("lease", 50.0, 2.0))
    for name in ("plain", "theirs", "reset"):
        for domain in DOMAINS:
            room.play(("ask", name, domain, "", 20))
    began, looks = room.scene.now, 0
    while room.scene.desk.waiting:
        due = room.scene.desk.next_release(room.scene.now)
        assert due is not None and looks < 400
        room.scene.now = max(due, room.scene.now + timedelta(milliseconds=100))
        room.hear(room.scene.release(300))
        looks += 1
    assert room.scene.now - began < timedelta(seconds=2 + (40 + 20) / 2.0 + 1)
