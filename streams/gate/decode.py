"""A recipient event from bytes, or as much of a broken one as can be named.

1. One strict pass (msgspec) gives the struct.
2. Else a lenient pass: where tenant, campaign and recipient decode, the event ends `invalid`, naming the field.
   Python's own reader is the last to try: it takes half a surrogate pair or NaN in a variable.
3. Else nobody can be told: a dead letter.

No reason quotes a value that upstream sent: it says the type or the length that was met.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas import topics
from schemas.events import Recipient, Rule
from schemas.events.fields import CampaignId, RecipientId, TenantId

# A send carries the variables on with 2-3 KB around them, and all must fit the topics' 1 MB record.
EVENT_BYTES = topics.MESSAGE_BYTES - 64 * 1024
# JSON written again can be longer (1e15 becomes 1000000000000000.0: below four times); shorter events need no check.
_SURELY_SHORT = EVENT_BYTES // 4
# Nobody's template reaches deeper; decoders and templates recurse, and Python's stack is about 1,000 frames.
NESTING = 32
_NUMBERS = "4,300 digits in an integer, 64-bit floats"  # what Python reads and writes (sys.get_int_max_str_digits)

# What a decoder raises for bad bytes: msgspec's own, bad UTF-8 and Python's limit on digits (both are a ValueError),
# and too deep a nesting.
_BAD = (msgspec.MsgspecError, ValueError, RecursionError)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an event concerns: what a final outcome can't do without."""

    tenant: TenantId
    campaign_id: CampaignId
    recipient_id: RecipientId


@dataclass(frozen=True, kw_only=True)
class Broken:
    """An event that is no recipient.  `names` is None where it can't name its campaign."""

    names: Names | None
    rule: Rule


_recipient = msgspec.json.Decoder(Recipient).decode
_names = msgspec.json.Decoder(Names).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PATH = re.compile(r"(?P<text>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_EXPECTED = re.compile(r"Expected (?P<limit>.*?)(?:, got `(?P<value>[^`]*)`)?$", re.DOTALL)


def read_recipient(value: bytes) -> Recipient | Broken:
    """The recipient in these bytes, or what is wrong with them."""
    if len(value) > EVENT_BYTES:
        return _broken(value, Rule(rule="event", value=f"{len(value)} bytes", limit=f"{EVENT_BYTES} bytes"))
    try:
        recipient = _recipient(value)
    except _BAD as error:
        return _broken(value, _rule_of(error, value))
    rule = _ill_formed(recipient, value)
    return recipient if rule is None else _broken(value, rule)


def name_event(value: bytes | None) -> Names | None:
    """Tenant, campaign and recipient where all three decode."""
    value = value or b""
    try:
        names = _names(value)
    except _BAD:
        try:
            # A float of any number of digits is read, and no id is one.
            names = msgspec.convert(json.loads(value.decode(), parse_int=float), Names)
            msgspec.json.encode(names)  # half a surrogate pair in an id could not be told to anybody
        except _BAD:
            return None
    # A pattern's `$` also matches before a line feed at the end, which no id may hold.
    ids = (names.tenant, names.campaign_id, names.recipient_id)
    return None if any(one.endswith("\n") for one in ids) else names


def _broken(value: bytes, rule: Rule) -> Broken:
    return Broken(names=name_event(value), rule=rule)


def _ill_formed(recipient: Recipient, value: bytes) -> Rule | None:
    """What a schema can't say: ids without a line feed, variables that can be written again, and no NUL."""
    if recipient.tenant.endswith("\n") or recipient.campaign_id.endswith("\n") or recipient.recipient_id.endswith("\n"):
        return Rule(rule="event", value="an id that ends in a line feed", limit="printable ids")
    if b"\\u0000" in value:
        # RFC 5321 4.5.2 and RFC 5322 know no NUL; the address has its own check.
        for name, found in (("variables", recipient.variables), ("dedup_key", recipient.dedup_key)):
            if _holds_nul(found, NESTING):
                return Rule(rule=name, value="text with a NUL", limit="text without NUL")
    if value.count(b"[") + value.count(b"{") > NESTING and _deeper(recipient.variables, NESTING):
        return Rule(rule="variables", value=f"more than {NESTING} levels", limit=f"{NESTING} levels")
    if len(value) > _SURELY_SHORT and (size := _written_size(recipient.variables)) > EVENT_BYTES:
        return Rule(rule="variables", value=f"{size} bytes once written", limit=f"{EVENT_BYTES} bytes")
    return None


def _written_size(variables: dict[str, Any]) -> int:
    return len(msgspec.json.encode(variables))


def _deeper(found: Any, levels: int) -> bool:
    if not isinstance(found, dict | list):
        return False
    children = found.values() if isinstance(found, dict) else found
    return levels == 0 or any(_deeper(child, levels - 1) for child in children)


def _holds_nul(found: Any, levels: int) -> bool:
    """Whether any text has a NUL, down to a depth beyond which the event is refused anyway."""
    match found:
        case str():
            return "\0" in found
        case dict() if levels:
            return any("\0" in name or _holds_nul(child, levels - 1) for name, child in found.items())
        case list() if levels:
            return any(_holds_nul(child, levels - 1) for child in found)
        case _:
            return False


def _rule_of(error: Exception, value: bytes) -> Rule:
    """Name the field, what was met and what was expected, from the decoder's words."""
    if not isinstance(error, msgspec.ValidationError):
        words = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Rule(rule="event", value=words, limit="a JSON object in UTF-8, any surrogate pairs whole")
    found = _PATH.match(str(error))
    text, path = (found["text"], found["path"] or "") if found else (str(error), "")
    path = path.partition("[")[0]  # what follows stands inside the variables, without their names
    if text.endswith("out of range"):
        return Rule(rule=path or "event", value="a number out of range", limit=_NUMBERS)
    if missing := _MISSING.match(text):
        return Rule(rule=".".join(filter(None, (path, missing["name"]))), value="missing", limit="required")
    if expected := _EXPECTED.match(text):
        met = expected["value"] or _describe(value, path)
        return Rule(rule=path or "event", value=met.replace("`", ""), limit=expected["limit"].replace("`", ""))
    if text.startswith("Invalid enum value"):
        return Rule(rule=path, value=_describe(value, path), limit="one of the values in the schema")
    return Rule(rule=path or "event", value=_describe(value, path), limit=text.replace("`", ""))


def _describe(value: bytes, path: str) -> str:
    """What stands at the path, by type and size alone; the rest of the event may be worse and is not looked at."""
    try:
        raw: bytes | msgspec.Raw = value
        for name in filter(None, path.split(".")):
            raw = _fields(raw)[name]
        found = msgspec.json.decode(raw)
    except (*_BAD, KeyError):
        return "unreadable"
    return f"text of {len(found)} characters" if isinstance(found, str) else type(found).__name__
