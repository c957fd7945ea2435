"""Campaigns by name: find one, say what state it is in and what came of it, change its control."""

import difflib
import getpass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from schemas import ids
from schemas.events import Campaign, Content, Control, Tenant
from schemas.topics import CAMPAIGNS, CONTENTS, CONTROLS, EGRESS, TENANTS
from streams.control.firing import AUTHOR
from streams.operate.errors import RefusedError, UnknownThingError, UsageFault
from streams.runtime.cluster import Publisher, find, read_world, sql_endpoint
from streams.runtime.errors import NoWarehouseError
from streams.runtime.settings import Settings
from streams.spread import weights
from streams.views import World
from streams.warehouse import query
from streams.warehouse.errors import WarehouseError

_LISTED: Final = 5  # names that an error lists at most


def split_id(name: str) -> tuple[str, str]:
    """`tenant:campaign` into its parts (the tenant's id has no colon).  Raises UsageFault."""
    tenant, colon, campaign = name.partition(":")
    if not colon or not tenant or not campaign:
        raise UsageFault(f"campaign {name!r}: expected TENANT:CAMPAIGN, such as acme:autumn")
    return tenant, campaign


def known_campaign(world: World, name: str) -> Campaign:
    """The campaign of that name.  Raises UsageFault, UnknownThingError."""
    split_id(name)
    campaign = world.campaigns.get(name)
    if campaign is None:
        near = difflib.get_close_matches(name, world.campaigns, n=_LISTED) or sorted(world.campaigns)[:_LISTED]
        known = f"there are {', '.join(near)}" if near else "there is none yet: `evenpost campaign submit`"
        raise UnknownThingError(f"no campaign {name!r}; {known}")
    return campaign


def submit(settings: Settings, campaign: Campaign, *, wait_s: float) -> Content | None:
    """Publish a campaign and wait for CONTROL's word on it: compiled or refused; None where it did not come."""
    world = read_world(settings, TENANTS)
    if campaign.tenant not in world.tenants:
        known = ", ".join(sorted(world.tenants)[:_LISTED]) or "none yet"
        raise UnknownThingError(f"no tenant {campaign.tenant!r} (known: {known}); `evenpost tenant submit` it first")
    key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
    with Publisher(settings) as publisher:
        publisher.send(CAMPAIGNS, key, campaign)
    world.apply(CAMPAIGNS.name, key, msgspec.json.encode(campaign))
    content_key = ids.content_key(campaign.tenant, campaign.campaign_id, world.content_version(campaign))
    record = find(settings, CONTENTS, content_key, timeout_s=wait_s) if wait_s > 0 else None
    return msgspec.json.decode(record.value, type=Content) if record is not None and record.value is not None else None


def no_egress(settings: Settings, pool: str) -> str:
    """Why nothing of the pool would be sent now; empty where a slot takes its mail."""
    return _no_egress(read_world(settings, EGRESS, CONTROLS), pool, datetime.now(UTC))


def no_cap(settings: Settings, campaign: Campaign) -> str:
    """Why no cap counts the campaign's mail though it names a class; empty where one does, or none is wanted."""
    return uncapped(campaign, read_world(settings, TENANTS).tenants.get(campaign.tenant))


def uncapped(campaign: Campaign, tenant: Tenant | None) -> str:
    """As `no_cap`, of a tenant that is known."""
    classes = {cap.class_ for cap in tenant.caps} if tenant is not None else set()
    if campaign.cap_class is None or campaign.cap_class in classes:
        return ""
    return f"cap_class = {campaign.cap_class!r}: {campaign.tenant} has {', '.join(sorted(classes)) or 'no caps'}"


def _no_egress(world: World, pool: str, now: datetime) -> str:
    return "" if world.slots(pool, now) else f"no active egress in pool {pool}"


def statuses(settings: Settings, name: str | None, now: datetime) -> list[dict[str, Any]]:
    """State and outcomes of one campaign or of all; `outcomes` is None where no warehouse answers."""
    world = read_world(settings, TENANTS, CAMPAIGNS, CONTENTS, CONTROLS, EGRESS)
    chosen = [known_campaign(world, name)] if name is not None else list(world.campaigns.values())
    funnel = _funnel(settings, name)
    found = []
    for campaign in chosen:
        key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
        state, reason = standing(world, campaign, now)
        found.append(
            {
                "campaign": key,
                "kind": campaign.kind,
                "state": state,
                "reason": reason,
                "outcomes": None if funnel is None else funnel.get(key, {}),
            }
        )
    return found


def standing(world: World, campaign: Campaign, now: datetime) -> tuple[str, str]:
    """(state, reason) of a campaign: `refused` where CONTROL refused the content, and all that holds it."""
    state: str = world.campaign_state(campaign, now)
    key = ids.campaign_key(campaign.tenant, campaign.campaign_id)
    controls = (*world.controls_on("campaign", key), *world.controls_on("tenant", campaign.tenant))
    reasons = [control.reason for control in weights.standing(controls, "", now)]
    if state != "cancelled":  # that is final, whatever else would have held it
        content = world.content(campaign)
        if content is not None and content.state == "refused":
            state = "refused"
            reasons.insert(0, content.reason)
        reasons.append(_no_egress(world, campaign.pool, now))
    return state, "; ".join(filter(None, reasons))


def _funnel(settings: Settings, name: str | None) -> dict[str, dict[str, Any]] | None:
    where = ""
    if name is not None:
        tenant, campaign = split_id(name)
        where = f" WHERE tenant = {_quoted(tenant)} AND campaign_id = {_quoted(campaign)}"
    try:
        statement = f"SELECT * FROM campaign_funnel{where}"  # noqa: S608  # quoted, and the port is read-only
        table = query.run(sql_endpoint(settings), statement, database=settings.clickhouse.database)
    except (NoWarehouseError, WarehouseError):
        return None
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {f"{row.pop('tenant')}:{row.pop('campaign_id')}": row for row in rows}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def set_control(
    settings: Settings, name: str, state: Literal["paused", "cancelled"], *, reason: str, now: datetime
) -> None:
    """Pause or cancel.  Raises UnknownThingError, and RefusedError for one that is cancelled already."""
    world = read_world(settings, CAMPAIGNS, CONTROLS)
    known_campaign(world, name)
    _refuse_cancelled(world, name)
    control = Control(target="campaign", key=name, state=state, by=user(), reason=reason, at=now)
    with Publisher(settings) as publisher:
        publisher.send(CONTROLS, f"campaign/{name}", control)


def resume(settings: Settings, name: str, now: datetime) -> bool:
    """Lift a pause; False where there was none.

    Raises as `set_control`, and RefusedError where it is paused still: the campaign itself says so, or automation.
    """
    world = read_world(settings, CAMPAIGNS, CONTROLS)
    campaign = known_campaign(world, name)
    _refuse_cancelled(world, name)
    lifted = f"campaign/{name}" in world.controls
    if lifted:
        with Publisher(settings) as publisher:
            publisher.send(CONTROLS, f"campaign/{name}", None)
    if campaign.state != "running":
        raise RefusedError(f'{name} itself says state = {campaign.state!r}; submit it with state = "running"')
    controls = (*world.controls_on("campaign", name), *world.controls_on("tenant", campaign.tenant))
    for control in weights.standing(controls, "", now):
        if control.by.startswith(AUTHOR):
            raise RefusedError(
                f"{name} is paused until {control.until:%Y-%m-%d %H:%M} UTC by {control.reason}; "
                "`evenpost incidents --standing` names the incident, `evenpost incidents lift ID` ends it"
            )
    return lifted


def _refuse_cancelled(world: World, name: str) -> None:
    control = world.controls.get(f"campaign/{name}")
    if control is not None and control.state == "cancelled":
        raise RefusedError(
            f"{name} was cancelled on {control.at:%Y-%m-%d %H:%M} by {control.by}, and what waited is final; "
            "submit it under another campaign_id"
        )


def user() -> str:
    """Who gives the command: a control's `by`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
