"""Keys and signatures: what we won't sign with, and that nobody can add what would deceive."""

import subprocess
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.events import DkimKey
from streams.compose.dkim import KeyRing, load_key, public_record
from streams.compose.errors import KeyRefusedError
from streams.compose.message import Composer
from tests.compose import builders


def test_a_key_below_the_directory_loads_once_and_signs(tmp_path: Path) -> None:
    """A key ring hands out a signer for each key of the domain, and each signature verifies under dkimpy."""
    builders.write_pem(tmp_path / "keys" / "acme-s1.pem", builders.rsa_key())
    keys = [DkimKey(selector=selector, key_file="keys/acme-s1.pem") for selector in ("s1", "s2")]
    signers = KeyRing(tmp_path).signers("acme.example", keys)
    composer = Composer(builders.content(), signers=signers, tokens=builders.TOKENS, settings=builders.SETTINGS)
    data = composer.compose(builders.send()).data
    assert data.count(b"DKIM-Signature:") == 2
    assert all(dkim.DKIM(data).verify(idx=number, dnsfunc=builders.dns) for number in (0, 1))


@pytest.mark.parametrize("key_file", ["../outside.pem", "/etc/passwd", "link.pem", "keys/\0.pem"])
def test_a_path_out_of_the_key_directory_is_refused(tmp_path: Path, key_file: str) -> None:
    """A tenant names files; none of them may be one of ours or of another's directory, symlinked or not."""
    root = tmp_path / "root"
    root.mkdir()
    outside = builders.write_pem(tmp_path / "outside.pem", builders.rsa_key())
    (root / "link.pem").symlink_to(outside)
    with pytest.raises(KeyRefusedError, match="path"):
        load_key(root, key_file)


def test_what_is_no_sound_rsa_key_is_refused_by_name(tmp_path: Path) -> None:
    """Missing, no PEM, encrypted, another algorithm, too short: each names the file and the matter."""
    (tmp_path / "text.pem").write_text("no key")
    builders.write_pem(tmp_path / "ec.pem", ec.generate_private_key(ec.SECP256R1()))
    locked = builders.rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    short = subprocess.run(["openssl", "genrsa", "768"], capture_output=True, check=True)
    (tmp_path / "short.pem").write_bytes(short.stdout)
    for name, matter in {
        "none.pem": "can't be read",
        "text.pem": "no unencrypted PEM",
        "locked.pem": "no unencrypted PEM",
        "ec.pem": "no RSA",
        "short.pem": "768 bits",
    }.items():
        with pytest.raises(KeyRefusedError, match=matter) as caught:
            load_key(tmp_path, name)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    "field",
    [b"From: x@evil.example", b"To: x@y.example", b"Subject: x", b"List-Unsubscribe: <https://evil.example>",
     b"List-Unsubscribe-Post: x", b"Feedback-ID: x"],
)  # fmt: skip
def test_a_second_field_breaks_the_signature(field: bytes) -> None:
    """Oversigning: what a reader or provider acts on can't be added by a third party."""
    data = builders.message().data
    assert dkim.verify(data, dnsfunc=builders.dns)
    head, _, rest = data.partition(b"From: ")
    assert not dkim.verify(head + field + b"\r\nFrom: " + rest, dnsfunc=builders.dns)


def test_the_body_is_signed_whole() -> None:
    """No l=: one octet more, and the signature is void."""
    data = builders.message().data
    assert b" l=" not in data.partition(b"From: ")[0]
    assert not dkim.verify(data + b"x\r\n", dnsfunc=builders.dns)


@pytest.mark.parametrize("changes", [{}, {"html": None, "text": "{{ name }}"}, {"headers": {"X-A": "長い" * 60}}])
def test_opendkim_verifies_what_we_sign(tmp_path: Path, changes: dict[str, object]) -> None:
    """A second, independent verifier: OpenDKIM in test mode, with the public key from a file."""
    key = public_record(builders.rsa_key())
    (tmp_path / "public").write_text(f"s1._domainkey.acme.example {key}\n")
    (tmp_path / "conf").write_text(f"Mode v\nTestPublicKeys {tmp_path / 'public'}\nLogWhy yes\nSyslog no\n")
    data = builders.message({"name": "太郎🎉"}, **changes).data

    def verdict(mail: bytes) -> str:
        (tmp_path / "mail").write_bytes(mail)
        command = ["/usr/sbin/opendkim", "-x", tmp_path / "conf", "-t", tmp_path / "mail", "-vv"]
        ran = subprocess.run(command, capture_output=True, check=False)
        return (ran.stdout + ran.stderr).decode()

    assert "dkim=pass (2048-bit key) header.d=acme.example" in verdict(data)
    assert "dkim=pass" not in verdict(data.replace(b"Feedback-ID: autumn", b"Feedback-ID: winter"))
