"""The sweep against a desk that never sweeps: the same words, and in the end nobody who is not needed."""

from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.gate.person import PERSONS, table_key
from streams.gate.sweep import MARK_ROWS, ROWS
from tests.gate.builders import NOW, Heard, Scene

# Some end with their campaign, some 30 days after it was activated; a week more, and they may be forgotten.
CAMPAIGNS = {"c0": "m", "c1": "n", "c2": None, "c3": "m"}
ENDS = {"c3": NOW + timedelta(days=2)}
CAPS = [
    {"class": "m", "max": 2, "per": "1h"},
    {"class": "m", "max": 3, "per": "20d"},
    {"class": "n", "max": 1, "per": "60d"},
]
PERSONS_ASKED = ("u0", "u1", "u2")
KINDS = ("retry", "parked", "drained", "give_back")

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.sampled_from(PERSONS_ASKED), st.sampled_from(sorted(CAMPAIGNS)), st.integers(0, 1)
        ),
        st.tuples(
            st.just("ask"), st.sampled_from(PERSONS_ASKED), st.sampled_from(sorted(CAMPAIGNS)), st.integers(0, 1)
        ),
        st.tuples(st.just("pass"), st.sampled_from((1, 24, 7 * 24, 31 * 24, 62 * 24))),
        st.tuples(st.just("return"), st.sampled_from(KINDS), st.integers(0, 99)),
        st.tuples(st.just("pause"), st.sampled_from(sorted(CAMPAIGNS)), st.booleans()),
        st.tuples(st.just("sweep")),
        st.tuples(st.just("restart")),
    ),
    min_size=5,
    max_size=50,
)


class Twin:
    """One of two scenes to which the same happens."""

    def __init__(self) -> None:
        """Four campaigns under three caps, of which the longest outlasts every mail's own term."""
        self.scene = Scene()
        self.scene.tenant(caps=CAPS)
        self.sent: list[Heard] = []
        for name in CAMPAIGNS:
            self.pause(name, paused=False)

    def pause(self, name: str, *, paused: bool) -> None:
        """Upstream's word on a campaign."""
        self.scene.campaign(
            name, state="paused" if paused else "running", cap_class=CAMPAIGNS[name], expire_at=ENDS.get(name)
        )

    def play(self, step: tuple[object, ...]) -> Heard:
        """One step but a sweep; what was said at once, and what was released."""
        scene = self.scene
        out = Heard()
        match step:
            case ("ask", str(person), str(campaign), int(dedup)):
                out = scene.ask(person, campaign_id=campaign, dedup_key=f"d{dedup}")
            case ("pass", int(hours)):
                scene.later(hours=hours)
            case ("return", str(kind), int(pick)) if self.sent:
                sends = [send for said in self.sent for send in said.sends]
                out = scene.give(kind, sends[pick % len(sends)], due_s=pick * 60) if sends else out
            case ("pause", str(name), bool(paused)):
                self.pause(name, paused=paused)
            case ("restart",):
                scene.restarted()
        released = scene.release()
        self.sent += [out, released]
        return Heard(sends=out.sends + released.sends, deliveries=out.deliveries + released.deliveries)

    def persons(self) -> set[bytes]:
        """Who is remembered."""
        return {key for key in self.scene.tables.rows if key.startswith(PERSONS)}


ASK = ("ask", "u0", "c3", 0)
PASS = ("pass", 31 * 24)


@given(steps)
@example([ASK, PASS, ("sweep",), ASK, PASS, ASK])
@example([ASK, PASS, ("sweep",), ("return", "retry", 0), ASK])
@settings(max_examples=200, deadline=None)
def test_swept_or_not_every_decision_is_the_same(given_steps: list[tuple[object, ...]]) -> None:
    """Sends, slots, refusals and their rules, whatever is swept in between; swept, only persons are missing."""
    swept, kept = Twin(), Twin()
    for step in given_steps:
        if step == ("sweep",):
            swept.scene.desk.sweep(swept.scene.now)
        assert swept.play(step) == kept.play(step)
    assert swept.scene.desk.counters == kept.scene.desk.counters or ("restart",) in given_steps
    missing = {key for key, value in kept.scene.tables.rows.items() if swept.scene.tables.rows.get(key) != value}
    assert all(key.startswith(PERSONS) for key in missing)
    swept.scene.later(days=365)
    swept.play(("restart",))
    swept.play(("pause", "c0", False))
    for name in CAMPAIGNS:
        swept.play(("pause", name, False))
    swept.scene.later(days=365)
    swept.scene.desk.sweep(swept.scene.now)
    assert swept.persons() == set(), "who has nothing that waits or counts is forgotten"


def test_whom_anything_is_left_of_stays() -> None:
    """A mail that waits, a send id that is taken, a place under a cap: each by itself is enough."""
    scene = Scene()
    end = NOW + timedelta(days=1)
    scene.campaign("plain", expire_at=end)
    scene.campaign("capped", expire_at=end, cap_class="m")
    scene.campaign("paused", state="paused", start_at=NOW + timedelta(days=90))
    scene.ask("plain", campaign_id="plain")
    scene.tenant(caps=[{"class": "m", "max": 1, "per": "60d"}])
    scene.ask("capped", campaign_id="capped")
    scene.ask("paused", campaign_id="paused")
    left = []
    for days in (7, 8, 60):
        scene.now = NOW + timedelta(days=days, seconds=1)
        scene.desk.sweep(scene.now)
        left.append({key.rpartition(b":")[2].decode() for key in scene.tables.rows if key.startswith(PERSONS)})
    assert left == [{"plain", "capped", "paused"}, {"capped", "paused"}, {"paused"}]


def crowd(count: int) -> Scene:
    """So many persons whose mails are past their term, and one in a hundred whose mail is not."""
    scene = Scene()
    scene.campaign("old", expire_at=NOW + timedelta(days=1))
    for number in range(count):
        scene.ask(f"u{number:05}", campaign_id="autumn" if number % 100 == 99 else "old")
    scene.later(days=9)
    return scene


def remembered(scene: Scene) -> int:
    """How many persons are."""
    return sum(key.startswith(PERSONS) for key in scene.tables.rows)


def test_it_takes_a_few_a_second_and_comes_round() -> None:
    """However often it is called: ROWS a second, until only those are left who are needed."""
    scene = crowd(1_000)
    for second in range(1, 20):
        for _ in range(50):
            scene.desk.sweep(scene.now)
        scene.later(seconds=1)
        assert scene.desk.forgotten <= second * ROWS
    assert (remembered(scene), scene.desk.forgotten) == (10, 990)
    assert scene.ask("u00099", campaign_id="autumn").types == ["duplicate"]
    assert len(scene.ask("u00000", campaign_id="autumn").sends) == 1


def test_a_worker_that_is_restarted_every_minute_comes_to_the_last_person() -> None:
    """It goes on where it stood when it last forgot somebody, or a minute ago."""
    scene = crowd(1_000)
    for _ in range(20):
        scene.restarted().sweep(scene.now)
    assert remembered(scene) == 10


def test_where_nothing_is_to_be_forgotten_next_to_nothing_is_written() -> None:
    """Its place alone, once in MARK_ROWS: an idle partition commits nothing every second."""
    scene = Scene()
    for number in range(100):
        scene.ask(f"u{number}")
    before = dict(scene.tables.rows)
    writes = 0
    for _ in range(2 * MARK_ROWS // 50):
        rows = dict(scene.tables.rows)
        scene.desk.sweep(scene.now)
        writes += rows != scene.tables.rows
        scene.later(seconds=1)
    assert writes <= 2
    assert {key: value for key, value in scene.tables.rows.items() if key in before} == before


def test_a_clock_that_is_set_back_does_not_stop_it() -> None:
    """It goes on a second later, by whatever clock there is."""
    scene = crowd(200)
    scene.later(days=1)
    scene.desk.sweep(scene.now)
    scene.later(days=-1)
    scene.desk.sweep(scene.now)
    assert scene.desk.forgotten == 2 * ROWS - 1


def test_a_record_that_is_damaged_stays_and_stops_nothing() -> None:
    """Somebody will want to see it."""
    scene = crowd(3)
    scene.tables.put(table_key("acme:u00001"), b"\xc1")
    scene.desk.sweep(scene.now)
    assert [key for key in scene.tables.rows if key.startswith(PERSONS)] == [table_key("acme:u00001")]
