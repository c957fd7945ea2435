"""The MX roll-up: hosts to providers."""

import pytest

from streams.delivery.rollup import is_named, rolled_up
from streams.spread.providers import PROVIDERS


@pytest.mark.parametrize(
    ("hosts", "provider"),
    [
        (["gmail-smtp-in.l.google.com"], "gmail"),
        (["aspmx.l.google.com", "aspmx2.googlemail.com"], "gmail"),
        (["outlook-com.olc.protection.outlook.com"], "microsoft"),
        (["acme-example.mail.protection.outlook.com"], "microsoft-365"),
        (["acme-example.o-v1.mx.microsoft"], "microsoft-365"),
        (["mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net"], "yahoo"),
        (["mx01.mail.icloud.com"], "icloud"),
        (["mx.yahoo.co.jp"], "yahoo-japan"),
        (["mfsmax.docomo.ne.jp"], "docomo"),
        (["mx.ezweb.ne.jp"], "au"),
    ],
)
def test_known_hosts_are_named(hosts: list[str], provider: str) -> None:
    """Each name is one that dealing knows too."""
    assert rolled_up(hosts) == provider
    assert is_named(provider)
    assert provider in PROVIDERS


def test_a_suffix_is_whole_labels() -> None:
    """Whoever registers notgoogle.com does not become Google."""
    assert rolled_up(["mx.notgoogle.com"]) == "mx:notgoogle.com"


def test_unknown_hosts_share_the_name_of_who_runs_them() -> None:
    """Two hosts of one hoster are one provider, below a public suffix of two labels as well."""
    assert rolled_up(["mx1.hoster.co.jp"]) == rolled_up(["mx2.eu.hoster.co.jp"]) == "mx:hoster.co.jp"
    assert not is_named("mx:hoster.co.jp")
    assert rolled_up(["localhost"]) == "mx:localhost"


def test_the_order_of_equal_hosts_does_not_matter() -> None:
    """A resolver shuffles them, and limits stay with one name."""
    assert rolled_up(["b.two.example", "a.one.example"]) == rolled_up(["a.one.example", "b.two.example"])
    assert rolled_up(["mx.gateway.example", "aspmx.l.google.com"]) == "gmail"


def test_no_host_is_an_error_of_the_caller() -> None:
    """A route without hosts has no provider."""
    with pytest.raises(ValueError, match="at least one mail host"):
        rolled_up([])
