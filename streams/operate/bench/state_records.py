"""What the state bench fills its topics with: entry and person number n, the same in every process.  Pure."""

import hashlib
from typing import Final

from schemas import ids
from streams.gate.person import Entry, Person, Stage, dump, table_key

TENANTS: Final = 50
_ID_BYTES: Final = 16
_DEALT_MS: Final = 1_795_000_000_000  # of 2026; any will do
_KEPT_MS: Final = 40 * 86_400_000


def address_id(number: int) -> str:
    """The address id of entry `number`."""
    return "1-" + _digest(b"a%d" % number)


def tenant(number: int) -> str:
    """The tenant whose list the entry is on."""
    return f"t{number % TENANTS}"


def suppression(number: int) -> tuple[bytes, bytes]:
    """Key and value of entry `number`."""
    scope, address = f"tenant:{tenant(number)}", address_id(number)
    key = ids.suppression_key(scope, "mail", "hard_bounce", address).encode()
    value = (
        f'{{"scope":"{scope}","channel":"mail","reason":"hard_bounce","address_id":"{address}",'
        '"source":"smtp 5.1.1","at":"2026-11-24T10:00:00Z"}'
    )
    return key, value.encode()


def person(number: int) -> tuple[bytes, bytes]:
    """Key and value of person `number` in the gate's table: one mail, dealt."""
    entry = Entry(
        send_id=_digest(b"s%d" % number),
        campaign_id="autumn-2026",
        cap_class="newsletter",
        counts=True,
        stage=Stage.DEALT,
        deal=1,
        dealt_ms=_DEALT_MS + number,
        keep_ms=_DEALT_MS + _KEPT_MS + number,
        slot=number % 64,
        source_topic="recipients.marketing",
        source_partition=number % 12,
        source_offset=number,
    )
    return table_key(ids.person_key(tenant(number), f"user-{number:09}")), dump(Person((entry,)))


def _digest(what: bytes) -> str:
    return hashlib.blake2b(what, digest_size=_ID_BYTES).hexdigest()
