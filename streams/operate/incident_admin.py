"""Incidents as an operator meets them: the newest, whether what they did stands, and an end to it before its time."""

from datetime import datetime
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.events import Incident
from schemas.topics import CONTROLS, INCIDENTS
from streams.control.firing import fired
from streams.operate.errors import RefusedError, UnknownThingError
from streams.runtime.cluster import Publisher, read_all, read_world
from streams.runtime.settings import Settings

# Characters of an id that lists show; so many of 128 bits name one of thousands.
SHORT: Final = 10
_LISTED: Final = 5


def newest(
    settings: Settings, limit: int, now: datetime, *, rule: str = "", only_standing: bool = False
) -> list[dict[str, Any]]:
    """The newest incidents, newest first, each with whether its control stands."""
    controls = read_world(settings, CONTROLS).controls
    found = []
    for incident in _all(settings):
        key = _control_key(incident)
        control = controls.get(key) if key is not None else None
        stands = control is not None and control.at == incident.at and (control.until is None or now < control.until)
        if (not rule or incident.rule == rule) and (stands or not only_standing):
            found.append(msgspec.to_builtins(incident, builtin_types=(datetime,)) | {"stands": stands})
    return sorted(found, key=lambda one: str(one["at"]), reverse=True)[:limit]


def lift(settings: Settings, name: str) -> Incident:
    """Remove the control of the incident whose id begins so.

    CONTROL sets none for that rule and key again before the incident's `until`.  Raises UnknownThingError, and
    RefusedError where nothing of it stands.
    """
    found = [incident for incident in _all(settings) if name and incident.incident_id.startswith(name)]
    if not found:
        raise UnknownThingError(f"no incident {name!r}; `evenpost incidents` shows the newest")
    if len(found) > 1:
        some = ", ".join(incident.incident_id[:SHORT] for incident in found[:_LISTED])
        raise UnknownThingError(f"{len(found)} incidents begin with {name!r}: {some}; give more of the id")
    (incident,) = found
    key = _control_key(incident)
    if key is None:
        raise RefusedError(f"incident {name} was told alone: it set nothing that could be lifted")
    control = read_world(settings, CONTROLS).controls.get(key)
    if control is None or control.at != incident.at:
        raise RefusedError(f"what incident {name} set does not stand any more")
    with Publisher(settings) as publisher:
        publisher.send(CONTROLS, key, None)
    return incident


def _all(settings: Settings) -> list[Incident]:
    """Each once; one that can't be read is passed over."""
    found: dict[str, Incident] = {}
    for record in read_all(settings, INCIDENTS):
        try:
            incident = msgspec.json.decode(record.value or b"", type=Incident)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        found[incident.incident_id] = incident
    return list(found.values())


def _control_key(incident: Incident) -> str | None:
    factor = 0.5 if incident.action == "slow_down" else None  # the key says nothing of it
    control = fired(incident, factor=factor).control
    return None if control is None else ids.control_key(control)
