"""What a schema can't say of a file of people: names inside of tables, numbers without end, zones, hosts, addresses.

In an event an unknown field is upstream's own business; in a file that somebody wrote it is a typo, however deep.
"""

import difflib
import ipaddress
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.events import Egress, Tenant, Via
from streams.compose.addresses import wire_domain
from streams.gate.window import zone

# A name as resolvers take it, with the underscore that container networks use, or an address.
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_:-]{1,63}(\.[A-Za-z0-9_:-]{1,63})*\.?")


def unread(data: Any, read: Any, path: str) -> Iterator[str]:
    """Each name in a table that its struct does not know, and each number that JSON has no word for."""
    if isinstance(read, msgspec.Struct):
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(read)}
        for name, value in data.items():
            if name in fields:
                yield from unread(value, getattr(read, fields[name]), f"{path}.{name}")
            else:
                near = difflib.get_close_matches(name, fields, n=1)
                yield f"unknown field '{path}.{name}'" + (f" (did you mean {near[0]!r}?)" if near else "")
    elif isinstance(read, list | tuple):
        for index, (value, one) in enumerate(zip(data, read, strict=True)):
            yield from unread(value, one, f"{path}[{index}]")
    elif isinstance(read, float) and not math.isfinite(read):
        yield f"{path} = {read}: expected a finite number; leave the field out where there is no limit"


def tenant_problems(tenant: Tenant) -> list[str]:
    """A time zone that there is not would make each of its mails with a window `invalid`."""
    if zone(tenant.timezone) is None:
        return [f"timezone = {tenant.timezone!r}: expected an IANA time zone, such as Asia/Tokyo"]
    return []


def egress_problems(egress: Egress) -> list[str]:
    """What a slot's way out and its name lack: a kind says which of the other fields it needs."""
    return _via_problems(egress.via) + _ehlo_problems(egress.ehlo)


def _via_problems(via: Via) -> list[str]:
    needed = ("address",) if via.kind == "bind" else ("host", "port")
    missing = [name for name in needed if getattr(via, name) is None]
    if missing:
        return [f"via.{name} is missing: kind = {via.kind!r} needs it" for name in missing]
    if via.kind == "bind":
        if not _is_ip(via.address or ""):
            return [f"via.address = {via.address!r}: expected an IPv4 or IPv6 address of the sender's machine"]
    elif not _HOST.fullmatch(via.host or ""):
        return [f"via.host = {via.host!r}: expected a host name or an address"]
    return []


def _ehlo_problems(ehlo: str) -> list[str]:
    # RFC 5321 4.1.3: an address literal where an IP has no name.
    literal = ehlo.startswith("[") and ehlo.endswith("]") and _is_ip(ehlo[1:-1].removeprefix("IPv6:"))
    try:
        if literal or (ehlo.isascii() and not _is_ip(ehlo) and wire_domain(ehlo)):
            return []
    except ValueError:
        pass
    return [f"ehlo = {ehlo!r}: expected the IP's own host name (ASCII), such as m0.mail.example"]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
