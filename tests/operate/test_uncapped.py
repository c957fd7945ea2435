"""A campaign's cap class that its tenant does not have is told when the campaign is submitted."""

import msgspec

from schemas.events import Tenant
from streams.operate.campaign_admin import uncapped
from tests.compose.builders import DOMAIN, campaign

TENANT = msgspec.convert(
    {
        "tenant": "acme",
        "name": "Acme",
        "domains": msgspec.to_builtins((DOMAIN,)),
        "caps": [{"class": "news", "max": 3, "per": "7d"}],
    },
    Tenant,
)


def test_a_cap_class_with_a_typo_is_named_beside_those_that_there_are() -> None:
    """The gate would find no cap of that class, and nobody would know."""
    assert uncapped(campaign(cap_class="newz"), TENANT) == "cap_class = 'newz': acme has news"
    bare = msgspec.structs.replace(TENANT, caps=())
    assert uncapped(campaign(cap_class="news"), bare) == "cap_class = 'news': acme has no caps"


def test_who_names_one_that_stands_or_none_is_told_nothing() -> None:
    """No class = no cap, as meant."""
    assert uncapped(campaign(cap_class="news"), TENANT) == ""
    assert uncapped(campaign(cap_class=None), TENANT) == ""
