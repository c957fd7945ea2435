"""The world of a run: two tenants, four campaigns, a mailbox domain, four sending IPs.

Each tenant has a marketing and a transactional campaign.  One tenant's hold what nobody knows the end of, the other's
send it again: so every blow meets both.
"""

from typing import Final

import msgspec

from schemas.events import Address, Campaign, Cap, DkimKey, Domain, Egress, Kind, Tenant, Via
from schemas.events.fields import CampaignState, OnUncertain

SLOTS: Final = 4
# 127.0.0.40 to .43: the machine's own, as all of 127.0.0.0/8, so nothing has to be configured.
FIRST_HOST: Final = 40
CONNECTIONS: Final = 4
CAP_CLASS: Final = "marketing"
CAP_MAX: Final = 3
SELECTOR: Final = "s1"
KEY_FILE: Final = f"keys/{SELECTOR}.pem"
# RFC 2606: whatever goes wrong, no mail of a run can reach anybody.
MAILBOXES: Final = "mailbox.example"
# A body of some kilobytes: it leaves in more than one piece, so there is a middle of it.
_HTML: Final = "<html><body><p>{{ name }}さん、こんにちは。</p><p>" + "秋の夜長に読む本。" * 200 + "</p></body></html>"


class Mailing(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign."""

    tenant: str
    campaign: str
    kind: Kind
    on_uncertain: OnUncertain

    @property
    def key(self) -> str:
        """`tenant:campaign`."""
        return f"{self.tenant}:{self.campaign}"


MAILINGS: Final = (
    Mailing(tenant="acme", campaign="autumn", kind="marketing", on_uncertain="hold"),
    Mailing(tenant="acme", campaign="receipt", kind="transactional", on_uncertain="hold"),
    Mailing(tenant="kaze", campaign="weekend", kind="marketing", on_uncertain="resend"),
    Mailing(tenant="kaze", campaign="booking", kind="transactional", on_uncertain="resend"),
)
BY_KEY: Final = {mailing.key: mailing for mailing in MAILINGS}
TENANTS: Final = tuple(dict.fromkeys(mailing.tenant for mailing in MAILINGS))


def tenants() -> list[Tenant]:
    """The tenants, as upstream declares them."""
    return [
        Tenant(
            tenant=name,
            name=name.title(),
            domains=(
                Domain(
                    domain=f"{name}.example",
                    return_path_domain=f"bounce.{name}.example",
                    dkim=(DkimKey(selector=SELECTOR, key_file=KEY_FILE),),
                ),
            ),
            caps=(Cap(class_=CAP_CLASS, max=CAP_MAX, per="7d"),),
        )
        for name in TENANTS
    ]


def address(slot: int) -> str:
    """The slot's IP."""
    return f"127.0.0.{FIRST_HOST + slot}"


def egress(slot: int, *, drained: bool = False) -> Egress:
    """A slot, as upstream declares it."""
    return Egress(
        slot=slot,
        via=Via(kind="bind", address=address(slot)),
        ehlo=f"m{slot}.mail.example",
        state="drained" if drained else "active",
    )


def campaign(mailing: Mailing, *, state: CampaignState = "running") -> Campaign:
    """A campaign, as upstream declares it."""
    return Campaign(
        tenant=mailing.tenant,
        campaign_id=mailing.campaign,
        kind=mailing.kind,
        from_=Address(name=mailing.tenant.title(), address=f"hello@{mailing.tenant}.example"),
        subject="{{ name }}さんへ、お知らせ🍁",
        html=_HTML,
        state=state,
        cap_class=CAP_CLASS if mailing.kind == "marketing" else None,
        on_uncertain=mailing.on_uncertain,
    )
