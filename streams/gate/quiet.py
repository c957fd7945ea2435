"""Quiet hours: the window of a mail, in its recipient's own time.

A campaign's own window holds for its mails, whatever their kind; else marketing has its tenant's.  The time zone is the
recipient's, or else the tenant's.
"""

from dataclasses import dataclass
from datetime import datetime

from schemas.events import Campaign, Rule, Send, SendWindow, Tenant
from streams.gate.window import NAME_LENGTH, opens_at, zone


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """The mail's window is shut, until then."""

    window: SendWindow
    timezone: str
    until: datetime

    def rule(self, now: datetime) -> Rule:
        """What the clock says there, and when mail may go; who is dropped is not eligible again."""
        at = zone(self.timezone)
        return Rule(
            rule="quiet",
            value=f"{now.astimezone(at):%a %H:%M}",
            limit=f"{self.window.opens} to {self.window.closes} in {self.timezone}",
            next_eligible=self.until if self.window.outside == "later" else None,
        )


def window_of(kind: str, campaign: Campaign | None, tenant: Tenant | None) -> SendWindow | None:
    """The window that holds for mails of this campaign."""
    if campaign is None or campaign.window is not None or tenant is None or kind != "marketing":
        return None if campaign is None else campaign.window
    return tenant.window


def quiet(send: Send, campaign: Campaign | None, tenant: Tenant | None, now: datetime) -> Quiet | Rule | None:
    """Why the mail may not go at this hour: its window is shut, or nobody can tell for want of a time zone."""
    window = window_of(send.kind, campaign, tenant)
    if window is None:
        return None
    name = send.timezone or (tenant.timezone if tenant else "UTC")
    at = zone(name)
    if at is None:
        return bad_zone("timezone" if send.timezone else "tenant.timezone", name)
    until = opens_at(window, at, now)
    return None if until is None else Quiet(window=window, timezone=name, until=until)


def bad_zone(field: str, name: str) -> Rule:
    """The rule that names a time zone which there is not."""
    value = (
        name
        if name.isascii() and name.isprintable() and len(name) <= NAME_LENGTH
        else f"text of {len(name)} characters"
    )
    return Rule(rule=field, value=value, limit="an IANA time zone, such as Asia/Tokyo")
