"""A sending IP's life: it is added, drained or suspended for a while, taken back, warmed up.

`egress` holds what upstream or an operator declared of a slot; a suspension is a control beside it, so that declaring
the slot anew does not end it.  Gates and senders follow either within seconds: no new mail goes to a slot that is not
open, and what waits there goes back to be dealt over the others.
"""

import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.events import Control, Egress, Warmup
from schemas.topics import CONTROLS, EGRESS, WARMUPS
from streams.operate.campaign_admin import user
from streams.operate.egress_admin import changed_slot
from streams.operate.errors import RefusedError, UnknownThingError, UsageFault
from streams.operate.provider_names import check_provider
from streams.runtime.cluster import Publisher, read_world
from streams.runtime.settings import Settings
from streams.spread.weights import standing
from streams.views import World

_LISTED: Final = 5
# A suspension for longer is one without an end, and a date beyond the calendar is none.
LONGEST: Final = timedelta(days=366)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def known_slot(world: World, name: str) -> Egress:
    """The slot by its number, its address, its smarthost's HOST:PORT or its EHLO name.  Raises UnknownThingError."""
    for egress in world.egress.values():
        if name in {str(egress.slot), egress.ehlo, way_out(egress)} or _same_address(name, egress.via.address):
            return egress
    slots = sorted(world.egress.values(), key=lambda one: one.slot)
    some = ", ".join(f"{one.slot} ({way_out(one)})" for one in slots[:_LISTED])
    known = f"there are {some}" + (" …" if len(slots) > _LISTED else "") if slots else "there is none yet"
    raise UnknownThingError(f"no sending IP {name!r}; {known}: `evenpost egress list`")


def way_out(egress: Egress) -> str:
    """Its address, or HOST:PORT of its smarthost."""
    return egress.via.address or "" if egress.via.kind == "bind" else f"{egress.via.host}:{egress.via.port}"


def _same_address(name: str, address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(name) == ipaddress.ip_address(address)
    except ValueError:
        return False


def added(
    world: World,
    changes: Mapping[str, Any],
    *,
    width: int,
    slot: int | None,
    address: str | None,
    smarthost: str | None,
    warmup: Warmup | None,
) -> Egress:
    """A spare slot made active: the one given, or the first.  Raises UsageFault, RefusedError."""
    if slot is None:
        slot = next((one for one in range(width) if _spare(world, one)), None)
        if slot is None:
            raise RefusedError(
                f"all {width} slots are in use (kafka.slots = {width}); `egress set` takes over an old one"
            )
    if slot >= width:
        raise UsageFault(f"slot {slot}: expected less than kafka.slots = {width}")
    if not _spare(world, slot):
        old = world.egress[str(slot)]
        raise RefusedError(
            f"slot {slot} is not spare: it is {way_out(old)}, {old.state}; `evenpost egress resume {slot}`"
        )
    found = changed_slot(slot, None, changes, address=address, smarthost=smarthost)
    found = msgspec.structs.replace(found, state="active", warmup=warmup)
    twin = next(
        (
            one
            for one in world.egress.values()
            if one.via == found.via and one.via.kind == "bind" and one.state != "spare" and one.slot != slot
        ),
        None,
    )
    if twin is not None:
        raise RefusedError(f"{way_out(found)} is slot {twin.slot} already, {twin.state}: an IP has one slot")
    return found


def _spare(world: World, slot: int) -> bool:
    old = world.egress.get(str(slot))
    return old is None or old.state == "spare"


def overview(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """Each slot as declared, with its standing controls and its warm-up in words."""
    world = read_world(settings, EGRESS, CONTROLS, WARMUPS)
    found = []
    for egress in sorted(world.egress.values(), key=lambda one: one.slot):
        controls = stands(list(world.controls_on("slot", str(egress.slot))), now)
        found.append(
            msgspec.to_builtins(egress, builtin_types=(datetime,))
            | {
                "way": f"{egress.via.kind} {way_out(egress)}",
                "words": ", ".join([egress.state, *map(_words, controls)]),
                "warming": _warming(world, egress),
                "controls": controls,
            }
        )
    return found


def _warming(world: World, egress: Egress) -> str | None:
    plan = egress.warmup
    if plan is None:
        return None
    words = [one for one in world.warmups.values() if one.slot == egress.slot and one.at >= plan.started_at]
    limits = [one.allowance for one in words if one.allowance is not None]
    if not words:
        return f"{plan.initial_per_day} a day, not said yet"
    bounds = f", {min(limits)} to {max(limits)} a day at the others" if limits else ""
    return f"warm at {len(words) - len(limits)} of {len(words)}{bounds}"


def add(settings: Settings, changes: Mapping[str, Any], **how: Any) -> Egress:
    """Activate a spare slot; see `added`."""
    found = added(read_world(settings, EGRESS), changes, width=settings.kafka.slots, **how)
    _publish(settings, found)
    return found


def drain(settings: Settings, name: str) -> tuple[Egress, bool]:
    """Take an IP out for good; also whether its pool has another that is active."""
    world = read_world(settings, EGRESS)
    old = known_slot(world, name)
    if old.state == "spare":
        raise RefusedError(f"slot {old.slot} is spare: nothing is sent from it")
    found = msgspec.structs.replace(old, state="drained")
    _publish(settings, found)
    return found, any(one.state == "active" and one.pool == old.pool and one != old for one in world.egress.values())


def suspend(
    settings: Settings, name: str, *, provider: str | None, span: timedelta | None, reason: str, now: datetime
) -> Control:
    """Stop an IP for a while, or until `resume`, at one provider or at all."""
    egress = known_slot(read_world(settings, EGRESS), name)
    if provider is not None:
        check_provider(settings, provider)
    if span is not None and span > LONGEST:
        raise UsageFault(f"--for: at most {LONGEST.days} days; without it the IP is suspended until it is resumed")
    control = Control(
        target="slot",
        key=str(egress.slot),
        provider=provider,
        state="suspended",
        by=user(),
        reason=reason,
        at=now,
        until=None if span is None else now + span,
    )
    with Publisher(settings) as publisher:
        publisher.send(CONTROLS, ids.control_key(control), control)
    return control


def resume(
    settings: Settings, name: str, *, provider: str | None, now: datetime
) -> tuple[Egress, list[str], list[str]]:
    """Lift operators' suspensions, and make a drained IP active again: (slot, what was lifted, what still stops it)."""
    world = read_world(settings, EGRESS, CONTROLS)
    egress = known_slot(world, name)
    if egress.state == "spare":
        raise RefusedError(f"slot {egress.slot} is spare: `evenpost egress add` gives it an address")
    controls = world.controls_on("slot", str(egress.slot))
    operators = [one for one in controls if not one.by.startswith("automation:")]
    if provider is not None:
        operators = [one for one in operators if one.provider == provider]
    lifted = [_words(one) for one in operators]
    with Publisher(settings) as publisher:
        for one in operators:
            publisher.send(CONTROLS, ids.control_key(one), None)
        if provider is None and egress.state != "active":
            lifted.append(f"state {egress.state}")
            egress = msgspec.structs.replace(egress, state="active")
            publisher.send(EGRESS, str(egress.slot), egress)
    left = [
        one for one in controls if one not in operators and one.slow_to is None and provider in {None, one.provider}
    ]
    still = [f"{_words(one)}; `evenpost incidents` tells why" for one in left if one in stands(left, now)]
    return egress, lifted, still


def stands(controls: list[Control], now: datetime) -> list[Control]:
    """Those whose time is not up, whatever their provider."""
    return [one for one in controls if standing([one], one.provider or "", now)]


def _words(control: Control) -> str:
    where = f" at {control.provider}" if control.provider else ""
    until = f" until {control.until:%Y-%m-%d %H:%M} UTC" if control.until else ""
    state = control.state if control.slow_to is None else f"slowed to {control.slow_to:.0%}"
    return f"{state}{where} by {control.by}{until}" + (f": {control.reason}" if control.reason else "")


def change_warmup(settings: Settings, name: str, warmup: Warmup | None) -> Egress:
    """Begin a warm-up, anew if there was one, or end it."""
    egress = known_slot(read_world(settings, EGRESS), name)
    if egress.state == "spare":
        raise RefusedError(f"slot {egress.slot} is spare: `evenpost egress add` warms it up")
    found = msgspec.structs.replace(egress, warmup=warmup)
    _publish(settings, found)
    return found


def warmup_days(settings: Settings, name: str) -> tuple[Egress, list[dict[str, Any]]]:
    """What CONTROL said last of a warming IP, provider by provider; `limited` says whether it is bound there still."""
    world = read_world(settings, EGRESS, WARMUPS)
    egress = known_slot(world, name)
    plan = egress.warmup
    words = [
        one
        for one in world.warmups.values()
        if one.slot == egress.slot and plan is not None and one.at >= plan.started_at
    ]
    return egress, [
        msgspec.to_builtins(one, builtin_types=(datetime,)) | {"limited": one.allowance is not None}
        for one in sorted(words, key=lambda one: (one.allowance is None, one.provider))
    ]


def span_of(text: str) -> timedelta:
    """`90s`, `30m`, `2h`, `7d`.  Raises UsageFault."""
    if len(text) > 1 and text[-1] in _UNITS and text[:-1].isdecimal() and int(text[:-1]) > 0:
        try:
            return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        except OverflowError:
            pass
    raise UsageFault(f"--for {text}: expected a number and s, m, h or d, such as 2h")


def _publish(settings: Settings, egress: Egress) -> None:
    with Publisher(settings) as publisher:
        publisher.send(EGRESS, str(egress.slot), egress)
