"""One slot from options over what it was before."""

import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.events import Egress
from streams.operate.document_checks import egress_problems
from streams.operate.documents import problems_of
from streams.operate.errors import UsageFault


def changed_slot(
    slot: int, old: Egress | None, changes: Mapping[str, Any], *, address: str | None, smarthost: str | None
) -> Egress:
    """The slot with the changes that are not None.  Raises UsageFault that names each wrong or missing one."""
    data: dict[str, Any] = {"slot": slot} if old is None else msgspec.to_builtins(old)
    data |= {name: value for name, value in changes.items() if value is not None}
    if address is not None and smarthost is not None:
        raise UsageFault("--address and --smarthost are both given: a slot has one way out")
    if address is not None:
        data["via"] = {"kind": "bind", "address": _ip(address)}
    if smarthost is not None:
        data["via"] = {"kind": "smarthost", **_host_port(smarthost)}
    if "via" not in data:
        raise UsageFault(f"slot {slot} is new: give --address or --smarthost")
    problems = problems_of(Egress, data)
    found = None if problems else msgspec.convert(data, Egress)
    if found is None or (problems := egress_problems(found)):
        raise UsageFault(f"slot {slot}: " + "; ".join(problems))
    return found


def _ip(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise UsageFault(f"--address {address}: expected an IPv4 or IPv6 address of this machine") from None


def _host_port(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageFault(f"--smarthost {text}: expected HOST:PORT")
    return {"host": host, "port": int(port)}
