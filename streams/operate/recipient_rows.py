"""A CSV row into a recipient event: which column is which field, and what keeps a row from being one.

Columns called like a field (or a usual other name of it) are that field, `--map column=field` says otherwise, and
every other column is a variable of the template under its own name.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from jinja2 import TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas import ids
from schemas.events import Campaign, Recipient
from streams.compose.addresses import wire_address
from streams.compose.language import FUNCTIONS
from streams.gate.window import zone
from streams.operate.csv_rows import Row
from streams.operate.errors import UsageFault

FIELDS: Final = ("recipient_id", "address", "timezone", "dedup_key")
_USUAL_NAMES: Final = {"id": "recipient_id", "email": "address", "e-mail": "address", "mail": "address"}
_OURS: Final = {"unsubscribe_url"}  # the variables that the sender gives
# Parses only; what a template may do is the composer's to say.
_TEMPLATES: Final = ImmutableSandboxedEnvironment()
_TEMPLATES.globals = dict.fromkeys(FUNCTIONS)


class BadRowError(ValueError):
    """A row that can't become an event; its words name the field, never the whole address."""


def parse_mapping(options: Iterable[str]) -> dict[str, str]:
    """`column=field` options.  Raises UsageFault."""
    mapping: dict[str, str] = {}
    for option in options:
        column, equals, field = option.partition("=")
        if not equals or not column.strip() or not field.strip():
            raise UsageFault(f"--map {option}: expected column=field, such as --map mail_address=address")
        mapping[column.strip()] = field.strip()
    return mapping


def assign_columns(columns: Iterable[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """What each column feeds: a field of FIELDS, else the variable of that name.  Raises UsageFault."""
    columns = list(columns)
    for column in mapping:
        if column not in columns:
            raise UsageFault(f"--map {column}=…: no such column; there are {', '.join(columns)}")
    assigned = dict(mapping)
    for column in columns:
        folded = column.lower()
        field = folded if folded in FIELDS else _USUAL_NAMES.get(folded, column)
        taken = set(assigned.values())
        assigned.setdefault(column, column if field in taken else field)
    targets = list(assigned.values())
    doubled = sorted({target for target in targets if targets.count(target) > 1})
    if doubled:
        raise UsageFault(f"two columns feed {', '.join(doubled)}: correct --map")
    for field in ("recipient_id", "address"):
        if field not in targets:
            raise UsageFault(f"no column is the {field}; add --map COLUMN={field}, with one of {', '.join(columns)}")
    return assigned


def missing_variables(campaign: Campaign, assigned: Mapping[str, str]) -> list[str]:
    """What the campaign's templates use and no column gives: it would be blank in every mail."""
    given = {*assigned.values()} - {*FIELDS} | _OURS
    used: set[str] = set()
    for source in filter(None, (campaign.subject, campaign.html, campaign.text)):
        with contextlib.suppress(TemplateSyntaxError, RecursionError):  # CONTROL refuses the campaign, in its own words
            used |= meta.find_undeclared_variables(_TEMPLATES.parse(source))
    return sorted(used - given)


def build_recipient(row: Row, assigned: Mapping[str, str], campaign: Campaign) -> Recipient:
    """The event.  Raises BadRowError."""
    if row.reason:
        raise BadRowError(row.reason)
    values = {target: row.cells[column] for column, target in assigned.items()}
    recipient_id = values.pop("recipient_id").strip()
    address = values.pop("address").strip()
    timezone = values.pop("timezone", "").strip() or None
    dedup_key = values.pop("dedup_key", "").strip() or None
    if not recipient_id:
        raise BadRowError("recipient_id is empty")
    if not address:
        raise BadRowError("address is empty")
    try:
        ids.canonical_address(address)
        if campaign.channel == "mail":
            wire_address(address)
    except ValueError as error:
        raise BadRowError(f"address: {error}") from None
    if timezone is not None and zone(timezone) is None:
        raise BadRowError(f"timezone {timezone!r}: expected an IANA time zone, such as Asia/Tokyo")
    if campaign.kind == "transactional" and dedup_key is None:
        raise BadRowError("dedup_key is empty: transactional mail needs one")
    event = {
        "tenant": campaign.tenant,
        "campaign_id": campaign.campaign_id,
        "recipient_id": recipient_id,
        "to": {"channel": campaign.channel, "address": address},
        "variables": values,
        "timezone": timezone,
        "dedup_key": dedup_key,
    }
    try:
        return msgspec.convert(event, Recipient)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise BadRowError(f"{where.rstrip('`') or 'row'}: {reason}") from None
