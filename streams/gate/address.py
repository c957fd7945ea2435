"""Is it a mail address that we can send to?  RFC 5321 syntax; the domain may be internationalised (RFC 5891).

A local part must be ASCII: few receivers offer SMTPUTF8.  Reserved top-level domains of RFC 2606 such as `.example`
pass, since demonstrations live there.  Nothing asks DNS.  No reason or masked form tells the address.
"""

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

# A plain dot-atom of RFC 5321 4.5.3.1.1's 64 octets at most, and a path of 254 in all (RFC 3696, erratum 1690).
_PLAIN_LOCAL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*\Z")
PATH_CHARACTERS = 254
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Domains of one hour's mail: 4,096 of them cover far above 99 % of consumer mail in 1 MB.
_DOMAINS = 4096


class BadAddressError(ValueError):
    """The address has no syntax that mail can go to; the message says why without telling it."""


def checked_address(text: str) -> str:
    """The address with its domain as A-label, its local part as given.  Raises BadAddressError."""
    if _CONTROL.search(text):
        raise BadAddressError("it holds a control character")
    local, _, domain = text.rpartition("@")
    if _PLAIN_LOCAL.match(local):
        ascii_domain = _ascii_domain(domain)
        if ascii_domain is not None and len(local) + 1 + len(ascii_domain) <= PATH_CHARACTERS:
            return f"{local}@{ascii_domain}"
    return _validated(text)


def _validated(text: str) -> str:
    try:
        found = validate_email(
            text, allow_smtputf8=False, check_deliverability=False, strict=True, test_environment=True
        )
    except EmailNotValidError as error:
        # What follows a colon or a bracket quotes the address.
        raise BadAddressError(re.split(r"[:(]", str(error), maxsplit=1)[0].strip(" .")) from None
    if found.ascii_email is None:
        raise BadAddressError("its local part is not ASCII")
    return found.ascii_email


@lru_cache(maxsize=_DOMAINS)
def _ascii_domain(domain: str) -> str | None:
    """The A-label of a good domain; None where the full check has to say what is wrong."""
    try:
        return _validated(f"a@{domain}").rpartition("@")[2]
    except BadAddressError:
        return None


def masked(text: str) -> str:
    """Enough to find the row, too little to tell the person: `t…@docomo.example`, and control characters as `·`."""
    local, at, domain = _CONTROL.sub("·", text).rpartition("@")
    if not at:
        return "…"
    return f"{local[:1]}…@{domain[:253]}"
