"""A tenant whose addresses are dead, or whose readers complain, is paused; nobody else is."""

from collections.abc import Iterable
from datetime import timedelta

from streams.control.figures import Figures
from streams.control.firing import Firing
from streams.control.fuse import Fuse
from streams.control.history import History
from streams.control.rules import FuseTerms
from tests.control.builders import HOUR, NOW, TERMS, at, volume

DAY = timedelta(days=1)


def looked(
    figures: Figures,
    history: History | None = None,
    *,
    fuse: Fuse | None = None,
    seconds: float = 600,
    tenants: Iterable[str] = ("acme",),
) -> list[Firing]:
    """What is told of acme's open hour with these figures."""
    fuse = fuse or Fuse(FuseTerms(), TERMS, history or History(TERMS))
    return list(fuse.look(tenants, {NOW: {("tenant", "acme"): figures}}, at(seconds)))


def test_more_than_five_in_a_hundred_dead_addresses_pause_the_tenant() -> None:
    """51 of 1,000, not 50; paused for a day, with rate, limit and the hours behind it."""
    assert looked(Figures(accepted=950, bounced=50, dead=50)) == []
    (firing,) = looked(Figures(accepted=949, bounced=51, dead=51))
    incident, control = firing.incident, firing.control
    assert (incident.rule, incident.action) == ("tenant-bounces", "pause_tenant")
    assert incident.value == "5.10% (51 dead addresses of 1,000)"
    assert incident.limit == "5.00% of 1,000 or more in 1 day, 0:00:00"
    assert incident.evidence == ("2026-12-01T03:00Z accepted 949, bounced 51, dead 51, complained 0",)
    assert control is not None
    assert (control.target, control.key, control.state, control.until) == ("tenant", "acme", "paused", at(600) + DAY)


def test_refusals_of_us_are_no_tenants_list() -> None:
    """An IP that is blocked bounces everybody's mail: no tenant is paused for that."""
    assert looked(Figures(accepted=100, bounced=9_900, dead=4)) == []


def test_one_in_a_thousand_complaints_pauses_the_tenant() -> None:
    """6 of 5,000, not 5; below 5,000 mails it is chance."""
    assert looked(Figures(accepted=5_000, complained=5)) == []
    assert looked(Figures(accepted=4_999, complained=9)) == []
    (firing,) = looked(Figures(accepted=5_000, complained=6))
    assert firing.incident.value == "0.12% (6 complaints of 5,000)"


def test_below_the_least_number_of_mails_nothing_happens() -> None:
    """999 mails, however bad."""
    assert looked(Figures(accepted=0, bounced=999, dead=999)) == []


def test_the_rate_is_over_a_day() -> None:
    """A bad morning among a good day is no reason; what is older than a day is past."""
    good, old = History(TERMS), History(TERMS)
    for hours in range(1, 20):
        good.put(volume("tenant", "acme", NOW - hours * HOUR, accepted=1_000))
        old.put(volume("tenant", "acme", NOW - DAY - hours * HOUR, accepted=1_000))
    assert looked(Figures(accepted=0, bounced=1_000, dead=1_000), good) == []
    assert len(looked(Figures(accepted=0, bounced=1_000, dead=1_000), old)) == 1


def test_it_blows_once_while_the_pause_would_stand() -> None:
    """Also where a person lifted it; and not again when the pause is over and the day is empty."""
    fuse = Fuse(FuseTerms(), TERMS, History(TERMS))
    bad = Figures(accepted=0, bounced=2_000, dead=2_000)
    assert len(looked(bad, fuse=fuse)) == 1
    assert looked(bad, fuse=fuse, seconds=1_200) == []
    over = at(600) + DAY + timedelta(seconds=1)
    assert list(fuse.look(["acme"], {}, over)) == []
    assert len(list(fuse.look(["acme"], {NOW + DAY: {("tenant", "acme"): bad}}, over))) == 1


def test_a_successor_that_was_told_does_not_blow_again() -> None:
    """The incident is remembered until its pause is over."""
    bad = Figures(accepted=0, bounced=2_000, dead=2_000)
    (firing,) = looked(bad)
    successor = Fuse(FuseTerms(), TERMS, History(TERMS))
    successor.remember(firing.incident)
    assert looked(bad, fuse=successor, seconds=1_200) == []


def test_only_who_is_asked_for_is_looked_at() -> None:
    """The tenants that had bounces or complaints since the last look; switched off, nobody."""
    bad = Figures(accepted=0, bounced=2_000, dead=2_000)
    assert looked(bad, tenants=()) == []
    assert looked(bad, fuse=Fuse(FuseTerms(enabled=False), TERMS, History(TERMS))) == []
