"""Suppression requests from options and CSV rows, and what stands against an address now.

A request names the raw address and goes to FEEDBACK; an entry that stands is named by the address's keyed hash, so a
check needs the deployment's key.
"""

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from schemas import ids
from schemas.events import Suppression, SuppressionRequest
from schemas.topics import SUPPRESSIONS
from streams.operate.csv_rows import Row
from streams.operate.errors import UsageFault
from streams.runtime.cluster import read_all
from streams.runtime.keys import existing_key
from streams.runtime.settings import Settings

COLUMNS = ("address", "email", "scope", "reason", "channel", "source", "until")


def request(data: Mapping[str, Any]) -> SuppressionRequest:
    """The request.  Raises ValueError that names the field, never the address."""
    try:
        ids.canonical_address(str(data["address"]))
    except ValueError as error:
        raise ValueError(f"address: {error}") from None
    try:
        return msgspec.convert(data, SuppressionRequest)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        raise ValueError(f"{name} = {data.get(name)!r}: {reason}") from None


def row_request(row: Row, defaults: Mapping[str, Any]) -> SuppressionRequest:
    """A request from a CSV row; an empty cell takes the default.  Raises ValueError."""
    if row.reason:
        raise ValueError(row.reason)
    cells = {name.lower(): value.strip() for name, value in row.cells.items()}
    cells.setdefault("address", cells.pop("email", ""))
    if not cells["address"]:
        raise ValueError("address is empty")
    return request(dict(defaults) | {name: cells[name] for name in cells if name in COLUMNS and cells[name]})


def check_columns(columns: list[str]) -> None:
    """Raises UsageFault where a file has no column for the address."""
    if not {"address", "email"} & {name.lower() for name in columns}:
        raise UsageFault(f"no column is called address or email; there are {', '.join(columns)}")


def standing(settings: Settings, address: str, *, channel: str, now: datetime) -> tuple[str, list[Suppression]]:
    """The address's id and each entry that stands against it.  Raises UsageFault for what is no address."""
    try:
        version = settings.secrets.address_id_version
        address_id = ids.address_id(address, existing_key(settings, "address_id"), version=version)
    except ValueError as error:
        raise UsageFault(f"address: {error}") from None
    entries: dict[str, Suppression] = {}
    for record in read_all(settings, SUPPRESSIONS):
        if not record.key.endswith(f"/{address_id}"):
            continue
        if record.value is None:
            entries.pop(record.key, None)
        else:
            # As the workers do: the last good value stays.
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                entries[record.key] = msgspec.json.decode(record.value, type=Suppression)
    return address_id, [
        entry for entry in entries.values() if entry.channel == channel and (entry.until is None or now < entry.until)
    ]
