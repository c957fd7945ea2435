"""Which addresses a host can send from."""

from __future__ import annotations

import socket
import sys

import pytest
from pydantic import ValidationError

from streams.runtime.assignment.addresses import NOWHERE, Addresses, of_this_host
from streams.runtime.settings import SmtpSettings


def bindable(address: str) -> bool:
    """The kernel's own answer."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "192.0.2.77", "0.0.0.0", "2001:db8::77"])
def test_interfaces_say_what_the_kernel_lets_bind(address: str) -> None:
    """Loopback as a whole on Linux, and what the interfaces have; an address of the documentation is nobody's."""
    if sys.platform != "linux" and address == "127.0.0.9":
        pytest.skip("only Linux answers for all of 127.0.0.0/8")
    assert of_this_host(SmtpSettings()).can_bind(address) == bindable(address)


def test_the_setting_alone_counts() -> None:
    """Addresses and networks, where interfaces don't tell."""
    here = of_this_host(SmtpSettings(addresses="198.51.100.7, 2001:db8::/64"))
    assert here.can_bind("198.51.100.7")
    assert here.can_bind("2001:DB8:0::5")
    assert not here.can_bind("198.51.100.8")
    assert not here.can_bind("127.0.0.1")
    assert here.texts() == ("198.51.100.7", "2001:db8::/64")


def test_an_unspecified_address_binds_anywhere_and_a_name_nowhere() -> None:
    """0.0.0.0 and :: leave the choice to the host."""
    assert NOWHERE.can_bind("0.0.0.0")
    assert NOWHERE.can_bind("::")
    assert not Addresses.of(["127.0.0.1"]).can_bind("localhost")


def test_a_setting_that_is_no_address_is_refused() -> None:
    """The error names the value."""
    with pytest.raises(ValidationError, match=r"'198\.51\.100' is neither"):
        SmtpSettings(addresses="127.0.0.1,198.51.100")
