"""`evenpost explain egress`: what one sending IP may do at one provider now, and who says so."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.operate.cli.egress_life import IpArgument
from streams.operate.cli.terminal import JsonFlag, cluster, print_json, print_table, say, settings


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost explain`."""
    app.command()(egress)


def egress(
    ip: IpArgument,
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Such as gmail, or one of its domains.")],
    *,
    json: JsonFlag = False,
) -> None:
    """What a sending IP may do at a provider now: weight, rate, connections, warm-up; each with where it was said.

    Example: evenpost explain egress 192.0.2.19 gmail
    """
    from schemas.topics import DOMAINS
    from streams.delivery import shaping
    from streams.operate import egress_life
    from streams.operate.explain.egress_limits import TOPICS, Asked, lines
    from streams.operate.provider_names import check_provider
    from streams.operate.settings_tree import leaves
    from streams.runtime.cluster import read_world
    from streams.spread.providers import OTHER, provider_of

    found = cluster()
    world = read_world(found, *TOPICS, DOMAINS)
    slot = egress_life.known_slot(world, ip)
    name = provider
    if "." in provider and not provider.startswith("mx:"):
        name = provider_of(provider, found.providers)
        name = world.providers.get(provider, OTHER) if name == OTHER else name
    check_provider(found, name)
    origins = {leaf.name: leaf.origin for leaf in leaves(settings())}
    told = lines(
        Asked(
            world=world,
            egress=slot,
            provider=name,
            shaping=shaping.load(found.smtp.shaping),
            settings=found,
            origin=origins.__getitem__,
            now=datetime.now(UTC),
        )
    )
    if json:
        print_json({"slot": slot.slot, "pool": slot.pool, "provider": name, "lines": told})
        return
    say(f"slot {slot.slot}, {egress_life.way_out(slot)}, at {name}")
    print_table(("what", "now", "said by"), ((one.what, one.words, one.source) for one in told), blocks=True)
