"""DKIM signatures (RFC 6376) at the speed of OpenSSL: rsa-sha256, relaxed/relaxed, over bytes we composed.

1. `load_key` reads a tenant's RSA key from below the key directory and nowhere else.
2. `KeyRing` keeps loaded keys, each proved once: what it signs, dkimpy must verify.
3. `Signer.sign` hashes the body as it is - a base64 body is its own relaxed form - and signs the relaxed header.

A field is named once more than it occurs where a second one would deceive the reader (oversigning); never `l=`.
`t=` is the message's own date, so that a resend is byte-identical, signature included.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import dkim
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from schemas.events import DkimKey
from streams.compose.errors import KeyRefusedError

OVERSIGNED: Final = ("from", "to", "subject", "list-unsubscribe", "list-unsubscribe-post", "feedback-id")
NAMES_WIDTH: Final = 70  # characters of the h= tag on a line, under RFC 5322's 78
MIN_BITS: Final = 1024  # RFC 8301 3.2: a verifier must not take less
TAB: Final = "\t"
_BLANKS: Final = re.compile(r"[ \t]+")
# What `relaxed` makes of our own signature's folds, which have nothing but blanks behind them.
_UNFOLDED: Final = re.compile(r"\r\n +")
_PADDING: Final = padding.PKCS1v15()
_HASH: Final = hashes.SHA256()

Field = tuple[str, str]  # name and folded value, as they go on the wire


def relaxed(name: str, value: str) -> str:
    """One field in relaxed form, without its line break (RFC 6376 3.4.2)."""
    text = value.replace("\r\n", "").strip(" \t")
    # Our own folds leave one blank, so that most values are done here.
    return f"{name.lower()}:{_BLANKS.sub(' ', text) if '  ' in text or TAB in text else text}"


class Signer:
    """One key of one domain."""

    def __init__(self, domain: str, selector: str, key: RSAPrivateKey) -> None:
        self.domain = domain
        self.selector = selector
        self._key = key

    def sign(self, fields: Sequence[Field], body: bytes, *, at: int) -> bytes:
        """The DKIM-Signature field for this header and body; the body is in relaxed form, `at` in Unix seconds."""
        body_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
        value = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain};\r\n s={self.selector}; t={at};\r\n"
            f" h={_signed_names(tuple(name for name, _ in fields))};\r\n bh={body_hash};\r\n b="
        )
        # RFC 6376 5.4.2: of fields that occur twice the last is signed first; ours occur once each.
        lines = [relaxed(name, text) for name, text in fields]
        lines.append("dkim-signature:" + _UNFOLDED.sub(" ", value))
        signature = self._key.sign("\r\n".join(lines).encode("ascii"), _PADDING, _HASH)
        encoded = base64.b64encode(signature).decode()
        folded = "\r\n ".join(encoded[start : start + 72] for start in range(0, len(encoded), 72))
        return f"DKIM-Signature: {value}{folded}\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def _signed_names(names: tuple[str, ...]) -> str:
    """The h= tag: each field in its order, then once more those that nobody may add."""
    listed = [name.lower() for name in names] + list(OVERSIGNED)
    lines: list[str] = []
    for name in listed:
        if lines and len(lines[-1]) + len(name) < NAMES_WIDTH:
            lines[-1] += f":{name}"
        else:
            lines.append(name)
    return ":\r\n  ".join(lines)


def load_key(root: Path, key_file: str) -> RSAPrivateKey:
    """Read an unencrypted PEM RSA key below `root`.  Raises KeyRefusedError."""
    try:
        path = (root / key_file).resolve()
        inside = path.is_relative_to(root.resolve())
    except (ValueError, OSError, RuntimeError) as error:
        raise KeyRefusedError(key_file, f"no usable path: {type(error).__name__}") from None
    if not inside:
        raise KeyRefusedError(key_file, f"leads out of the key directory {root}; give a path below it")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyRefusedError(key_file, f"can't be read in {root}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefusedError(key_file, "is no unencrypted PEM private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyRefusedError(key_file, "is no RSA key; make one with `openssl genrsa 2048`")
    if key.key_size < MIN_BITS:
        raise KeyRefusedError(key_file, f"has {key.key_size} bits; receivers take {MIN_BITS} or more, use 2048")
    return key


def public_record(key: RSAPrivateKey) -> str:
    """The TXT record to publish at `<selector>._domainkey.<domain>` (RFC 6376 3.6.1)."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


class KeyRing:
    """The keys below one directory, each loaded and proved once for the life of the process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._keys: dict[str, RSAPrivateKey] = {}

    def signers(self, domain: str, keys: Sequence[DkimKey]) -> tuple[Signer, ...]:
        """A signer for each key of the domain (A-labels).  Raises KeyRefusedError."""
        return tuple(Signer(domain, key.selector, self._key(key.key_file)) for key in keys)

    def _key(self, key_file: str) -> RSAPrivateKey:
        if key_file not in self._keys:
            key = load_key(self._root, key_file)
            prove(key, key_file)
            self._keys[key_file] = key
        return self._keys[key_file]


def prove(key: RSAPrivateKey, key_file: str) -> None:
    """Sign a probe, and let dkimpy verify it against the key's own public record.  Raises KeyRefusedError."""
    fields = [("From", "probe@probe.example"), ("Subject", "probe")]
    body = b"probe\r\n"
    signature = Signer("probe.example", "probe", key).sign(fields, body, at=0)
    header = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    record = public_record(key).encode()
    try:
        verified = dkim.verify(signature + header + b"\r\n" + body, dnsfunc=lambda *_, **__: record)
    except dkim.DKIMException as error:
        raise KeyRefusedError(key_file, f"dkimpy can't verify what it signs: {error}") from None
    if not verified:
        raise KeyRefusedError(key_file, "dkimpy can't verify what it signs; make a new key")
