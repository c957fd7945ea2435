"""The demo's world: tenants, campaigns, mailbox domains and sending IPs.

Each tenant has a marketing and a transactional campaign.  Two campaigns hold what nobody knows the end of, the others
send it again; one is ended by upstream when all else is done, so that full mailboxes come to an end while you watch.
"""

from datetime import datetime
from importlib import resources
from typing import Final

import msgspec

from schemas.events import Address, Campaign, Cap, DkimKey, Domain, Egress, Kind, Tenant, Via
from schemas.events.fields import OnUncertain

# 127.0.0.2 to 127.0.0.9: every address of 127.0.0.0/8 is the machine's own, so nothing has to be configured.
SLOTS: Final = 8
FIRST_HOST: Final = 2
CAP_CLASS: Final = "marketing"
CAP_MAX: Final = 3
SELECTOR: Final = "s1"


class Mailboxes(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox domain: its provider (None = nobody lists it) and its part of the recipients."""

    domain: str
    provider: str | None
    share: float


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, as people know it."""

    tenant: str
    name: str

    @property
    def domain(self) -> str:
        """The domain that it sends from."""
        return f"{self.tenant}.example"


class Mailing(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign: its part of the recipients, and what sets it apart."""

    tenant: str
    campaign: str
    kind: Kind
    subject: str
    share: float
    on_uncertain: OnUncertain = "resend"
    short: bool = False  # upstream ends it once all else is done

    @property
    def key(self) -> str:
        """`tenant:campaign`."""
        return f"{self.tenant}:{self.campaign}"


# `.example` names of RFC 2606: whatever goes wrong, no mail of the demo can reach anybody.
MAILBOXES: Final = (
    Mailboxes(domain="docomo.example", provider="docomo", share=0.22),
    Mailboxes(domain="au.example", provider="au", share=0.15),
    Mailboxes(domain="softbank.example", provider="softbank", share=0.15),
    Mailboxes(domain="gmail.example", provider="gmail", share=0.20),
    Mailboxes(domain="yahoo.example", provider="yahoo-japan", share=0.12),
    Mailboxes(domain="outlook.example", provider="microsoft", share=0.08),
    Mailboxes(domain="kyoto-mail.example", provider=None, share=0.05),
    Mailboxes(domain="手紙.example", provider=None, share=0.03),
)
SENDERS: Final = (
    Sender(tenant="acme", name="エイクミ"),
    Sender(tenant="sakura", name="さくら書店"),
    Sender(tenant="kaze", name="風の旅"),
)
MAILINGS: Final = (
    Mailing(
        tenant="acme",
        campaign="autumn",
        kind="marketing",
        subject="{{ name }}さんへ、秋のお知らせ🍁",
        share=0.30,
        on_uncertain="hold",
    ),
    Mailing(
        tenant="acme", campaign="receipt", kind="transactional", subject="ご注文 {{ number }} の領収書", share=0.08
    ),
    Mailing(
        tenant="sakura", campaign="new-books", kind="marketing", subject="{{ name }}さんの棚に、新刊です📚", share=0.27
    ),
    Mailing(tenant="sakura", campaign="password-reset", kind="transactional", subject="パスワードの再設定", share=0.04),
    Mailing(
        tenant="kaze",
        campaign="last-minute",
        kind="marketing",
        subject="今夜まで: {{ name }}さんの週末✈️",
        share=0.25,
        on_uncertain="hold",
        short=True,
    ),
    Mailing(
        tenant="kaze", campaign="booking", kind="transactional", subject="ご予約 {{ number }} を承りました", share=0.06
    ),
)
BY_KEY: Final = {mailing.key: mailing for mailing in MAILINGS}
PROVIDERS: Final = {one.domain: one.provider for one in MAILBOXES if one.provider is not None}


def key_file(tenant: str) -> str:
    """Where a tenant's DKIM key lies, below the data directory."""
    return f"keys/{tenant}-{SELECTOR}.pem"


def tenants() -> list[Tenant]:
    """The tenants, as upstream declares them."""
    return [
        Tenant(
            tenant=sender.tenant,
            name=sender.name,
            domains=(
                Domain(
                    domain=sender.domain,
                    return_path_domain=f"bounce.{sender.domain}",
                    dkim=(DkimKey(selector=SELECTOR, key_file=key_file(sender.tenant)),),
                ),
            ),
            caps=(Cap(class_=CAP_CLASS, max=CAP_MAX, per="7d"),),
            timezone="Asia/Tokyo",
        )
        for sender in SENDERS
    ]


def egress() -> list[Egress]:
    """The sending IPs, all of one weight."""
    return [
        Egress(
            slot=slot,
            via=Via(kind="bind", address=f"127.0.0.{FIRST_HOST + slot}"),
            ehlo=f"m{slot}.mail.example",
        )
        for slot in range(SLOTS)
    ]


def campaigns(*, short_until: datetime | None = None) -> list[Campaign]:
    """The campaigns, the short one over at `short_until`, if that is known yet."""
    names = {sender.tenant: sender for sender in SENDERS}
    return [
        Campaign(
            tenant=mailing.tenant,
            campaign_id=mailing.campaign,
            kind=mailing.kind,
            from_=Address(name=names[mailing.tenant].name, address=f"hello@{names[mailing.tenant].domain}"),
            subject=mailing.subject,
            html=resources.files(__package__).joinpath(f"{mailing.kind}.html").read_text("utf-8"),
            cap_class=CAP_CLASS if mailing.kind == "marketing" else None,
            on_uncertain=mailing.on_uncertain,
            expire_at=short_until if mailing.short else None,
        )
        for mailing in MAILINGS
    ]
