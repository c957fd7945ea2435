"""Return paths and unsubscribe tokens: they come back whole, or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from streams.compose.errors import TokenError
from streams.compose.tokens import Tokens
from tests.compose import builders

OTHER = Tokens(b"o" * 32, address_key=b"a" * 32)


@settings(deadline=None)  # two cores, shared: time is no fact of this test
@given(send_id=st.binary(min_size=16, max_size=16), deal=st.integers(1, 65_535), slot=st.integers(0, 9_999))
def test_a_return_path_comes_back_in_any_case_of_letters(send_id: bytes, deal: int, slot: int) -> None:
    """The local part fits 64 octets and survives systems that change its case."""
    send = builders.send(send_id=send_id.hex(), deal=deal, slot=slot)
    address = builders.TOKENS.make_return_path(send, "bounce.acme.example")
    assert len(address.rpartition("@")[0]) <= 64
    for spelled in (address, address.upper()):
        found = builders.TOKENS.read_return_path(spelled)
        assert (found.send_id, found.deal, found.slot) == (send_id.hex(), deal, slot)


@settings(deadline=None)  # two cores, shared: time is no fact of this test
@given(recipient=st.text(min_size=1, max_size=60), campaign=st.text(min_size=1, max_size=60))
def test_an_unsubscribe_token_names_the_person_and_not_the_address(recipient: str, campaign: str) -> None:
    """Tenant, campaign, recipient and address id come back; the raw address is not in it."""
    send = builders.send(recipient_id=recipient, campaign_id=campaign)
    found = builders.TOKENS.read_unsubscribe(builders.TOKENS.make_unsubscribe(send))
    assert (found.tenant, found.campaign_id, found.recipient_id) == ("acme", campaign, recipient)
    assert found.address_id == ids.address_id(send.to.address, b"a" * 32)


@pytest.mark.parametrize("place", [2, 20, 40, 52])
def test_a_changed_return_path_is_refused(place: int) -> None:
    """One letter changed anywhere, and nobody's send is named."""
    address = builders.TOKENS.make_return_path(builders.send(), "bounce.acme.example")
    changed = address[:place] + ("a" if address[place] != "a" else "b") + address[place + 1 :]
    with pytest.raises(TokenError):
        builders.TOKENS.read_return_path(changed)


@settings(deadline=None)  # two cores, shared: time is no fact of this test
@given(st.text(max_size=80))
def test_anything_else_is_refused_as_a_token_error(text: str) -> None:
    """Bounces and links hold anything: what we did not make is a TokenError, whatever it is."""
    with pytest.raises(TokenError):
        builders.TOKENS.read_return_path(f"b+{text}@bounce.acme.example")
    with pytest.raises(TokenError):
        builders.TOKENS.read_unsubscribe(text)


def test_another_key_reads_nothing() -> None:
    """A token is worth what its key is."""
    send = builders.send()
    with pytest.raises(TokenError):
        OTHER.read_return_path(builders.TOKENS.make_return_path(send, "bounce.acme.example"))
    with pytest.raises(TokenError):
        OTHER.read_unsubscribe(builders.TOKENS.make_unsubscribe(send))
