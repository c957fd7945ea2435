"""Messages composed and signatures made in turn, on one core; each turn's CPU, and whether the messages are right.

1. A campaign is compiled, its composer made: the one of the pipeline's bench.
2. Each turn: so many messages whole; the same with a signature that was made before, which leaves RSA out and nothing
   else; as many signatures over a header of that length.  By turns, since a core's clock changes within seconds.
3. A sample of the messages is verified by dkimpy.
"""

import gc
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dkim
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from schemas.events import Send
from streams.compose.dkim import KeyRing, Signer, public_record
from streams.compose.message import Composer, ComposeSettings
from streams.compose.tokens import Tokens
from streams.operate.bench import mailing
from streams.operate.bench.mailing import Size
from streams.operate.proof.receiving import make_key
from streams.runtime.keys import KEY_BYTES
from streams.runtime.settings import MailSettings

_HEADER: Final = bytes(1_200)
_SCHEME: Final = padding.PKCS1v15()
_HASH: Final = hashes.SHA256()
SAMPLE: Final = 50


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """CPU microseconds a message, of one turn."""

    whole_us: float
    unsigned_us: float
    signature_us: float


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """All turns; of a sample of `sampled` messages so many did not verify."""

    messages: int
    octets: int
    turns: tuple[Turn, ...]
    sampled: int
    unverified: int


class _Made:
    """Stands in for a key: gives the signature that it made once."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._signature = key.sign(_HEADER, _SCHEME, _HASH)

    def sign(self, _data: bytes, _scheme: padding.PKCS1v15, _hash: hashes.SHA256) -> bytes:
        """The same each time."""
        return self._signature


def composed(folder: Path, done: Callable[[str], None], *, messages: int, turns: int, size: Size) -> Composed:
    """Measure; the folder gets a key.  `done` is told of each turn."""
    key = make_key(folder / mailing.KEY_FILE)
    at = datetime.now(UTC)
    content = mailing.content(at, size)
    sends = [mailing.send(number, slots=1, version=content.version, at=at) for number in range(messages)]
    (signer,) = KeyRing(folder).signers(content.domain, content.dkim)
    made = Signer(signer.domain, signer.selector, _Made(key))  # type: ignore[arg-type]  # what `sign` asks of one
    pool = MailSettings()

    def composer(one: Signer) -> Composer:
        return Composer(
            content,
            signers=[one],
            tokens=Tokens(bytes(KEY_BYTES), address_key=bytes(KEY_BYTES)),
            settings=ComposeSettings(unsubscribe_url=pool.unsubscribe_url, feedback_id=pool.feedback_id),
        )

    whole, unsigned = composer(signer), composer(made)
    found = []
    for number in range(1, turns + 1):
        found.append(
            Turn(
                whole_us=_each_us(lambda: _all(whole, sends), messages),
                unsigned_us=_each_us(lambda: _all(unsigned, sends), messages),
                signature_us=_each_us(lambda: _signed(key, messages), messages),
            )
        )
        done(f"turn {number}: {found[-1].whole_us:,.0f} µs a message, {found[-1].signature_us:,.0f} of it RSA")
    sample = [whole.compose(one).data for one in sends[:SAMPLE]]
    record = public_record(key).encode()
    return Composed(
        messages=messages,
        octets=len(sample[0]),
        turns=tuple(found),
        sampled=len(sample),
        unverified=sum(not dkim.verify(one, dnsfunc=lambda *_, **__: record) for one in sample),
    )


def _all(composer: Composer, sends: Sequence[Send]) -> None:
    for one in sends:
        composer.compose(one)


def _signed(key: RSAPrivateKey, count: int) -> None:
    for _ in range(count):
        key.sign(_HEADER, _SCHEME, _HASH)


def _each_us(work: Callable[[], None], count: int) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6 / count
