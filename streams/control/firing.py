"""What comes of a rule that fires: the incident, and the control that stands for a while.

An incident's id is made of rule, scope, key and the time of the delivery (or the begin of the span) that fired it: who
reads the same deliveries again makes the same incident, and a control says all that its id is made of, so that an
incident that was not written before a crash is made from its control.
"""

from datetime import datetime
from typing import Final, Literal, cast

import msgspec

from schemas import ids
from schemas.events import Control, Incident

AUTHOR: Final = "automation:"


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One incident and the control beside it; None: it is only told."""

    incident: Incident
    control: Control | None


def incident_id(rule: str, scope: str, key: str, at: datetime) -> str:
    """The incident's name."""
    return ids.digest("incident", rule, scope, key, at.isoformat())


def fired(incident: Incident, *, factor: float | None = None) -> Firing:
    """The incident, and the control that its action asks for."""
    return Firing(incident=incident, control=_control(incident, factor))


def _control(incident: Incident, factor: float | None) -> Control | None:
    narrowed = "/" in incident.scope
    key, _, provider = incident.key.partition("/") if narrowed else (incident.key, "", "")
    match incident.action:
        case "slow_down" | "suspend" | "deal_elsewhere":
            target, state = "slot", "suspended"
        case "pause_campaign":
            target, state = "campaign", "paused"
        case "pause_tenant":
            target, state = "tenant", "paused"
        case _:
            return None
    return Control(
        target=cast("Literal['slot', 'campaign', 'tenant']", target),
        key=key,
        provider=provider or None,
        state=cast("Literal['suspended', 'paused']", state),
        slow_to=factor,
        by=f"{AUTHOR}{incident.rule}",
        reason=f"{incident.rule}: {incident.value} (limit {incident.limit})",
        at=incident.at,
        until=incident.until,
    )


def told_by(control: Control) -> Incident | None:
    """The incident that must stand beside an automation's control; None where the control is somebody else's.

    Also of what bears automation's name and is of no form that a rule has: whoever wrote it stops nobody's watch.
    """
    if not control.by.startswith(AUTHOR):
        return None
    scope = f"{control.target}/provider" if control.provider else control.target
    key = f"{control.key}/{control.provider}" if control.provider else control.key
    rule = control.by.removeprefix(AUTHOR)
    action = {"campaign": "pause_campaign", "tenant": "pause_tenant"}.get(control.target, "suspend")
    incident = {
        "incident_id": incident_id(rule, scope, key, control.at),
        "rule": rule,
        "scope": scope,
        "key": key,
        "action": "slow_down" if control.slow_to is not None else action,
        "value": control.reason,
        "limit": "",
        "evidence": (),
        "at": control.at,
        "until": control.until,
    }
    try:
        return msgspec.convert(incident, Incident)
    except msgspec.ValidationError:
        return None
