"""What a receiver's reply means: accepted, soft or hard, and why.

1. The basic code's first digit is the disposition (RFC 5321 4.2.1); an enhanced code that disagrees does not change
   it (RFC 3463 2: it adds detail).
2. The enhanced status code, where there is one, names a class (RFC 3463 and IANA's registry).
3. Text rules refine the class, and for a few known habits turn a 5yz into a soft refusal.

Classes, enhanced codes and rules are data: replies.toml.  Text that is kept has its mail addresses taken out.
"""

import re
import tomllib
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated, Any, Final, Literal

import msgspec

Disposition = Literal["accepted", "soft", "hard"]
# The command that a reply answers; `dot` is the end of the message, `route` comes before any connection.
Stage = Literal["route", "connect", "greeting", "ehlo", "starttls", "mail", "rcpt", "data", "dot"]

# Kept in every delivery event; what matters stands at the front of a reply.
MAX_TEXT: Final = 500
_ADDRESS: Final = re.compile(r"<?[^\s<>,;:()\[\]\"]+@[\w-][\w.-]*>?", re.ASCII)
_QUOTED_ADDRESS: Final = re.compile(r"<?\"[^\"]*\"@[\w.-]+>?")
# RFC 3463 2: class.subject.detail; the subject and detail have up to three digits.
_ENHANCED: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_SPACES: Final = re.compile(r"\s+")
# The enhanced code opens the text (RFC 2034 4); some wrap it in '#' or '(#…)' at the end, as qmail does.
_LEADING: Final = re.compile(r"\s*[\[(#']*\s*(?=[245]\.\d{1,3}\.\d{1,3}(?![\d.]))")
_HASHED: Final = re.compile(r"\(?#(?=[245]\.\d{1,3}\.\d{1,3}(?![\d.]))")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply understood.  `enhanced` is empty where none was given; `text` holds no address."""

    disposition: Disposition
    class_: str
    smtp_code: int
    enhanced: str
    text: str


class _Class(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    meaning: str
    suppresses: bool = False


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One text rule; all of what it names must hold."""

    class_: str = msgspec.field(name="class")
    text: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    codes: tuple[str, ...] = ("4", "5")
    enhanced: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    disposition: Literal["soft", "hard"] | None = None


class _Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    class_: dict[str, _Class] = msgspec.field(name="class")
    enhanced: dict[str, str]
    subject: dict[str, str]
    rule: tuple[_Rule, ...]


def classify(code: int, text: str, *, stage: Stage) -> Reply:
    """Understand a reply.  `text` is the reply without its codes, lines joined in any way."""
    enhanced = enhanced_code(text)
    if code < 400:  # noqa: PLR2004  # RFC 5321 4.2.1: 4yz and 5yz refuse
        return Reply(disposition="accepted", class_="accepted", smtp_code=code, enhanced=enhanced, text=redacted(text))
    disposition: Disposition = "soft" if code < 500 else "hard"  # noqa: PLR2004  # as above
    class_ = _class_of(enhanced) or f"other_{disposition}"
    # A long reply repeats its enhanced code on each line (RFC 2034 4), in the middle of a phrase once joined.
    rule = _rule_for(code, enhanced, redacted(text.replace(enhanced, "") if enhanced else text), stage)
    if rule is not None:
        class_ = rule.class_
        if disposition == "hard" and rule.disposition is not None:
            disposition = rule.disposition
    return Reply(disposition=disposition, class_=class_, smtp_code=code, enhanced=enhanced, text=redacted(text))


def classes() -> frozenset[str]:
    """The names of all classes."""
    return frozenset(_tables().class_)


def suppresses(class_: str) -> bool:
    """Whether a hard refusal of this class says that the address is dead."""
    known = _tables().class_.get(class_)
    return known is not None and known.suppresses


def enhanced_code(text: str) -> str:
    """The enhanced status code that opens the text, or that qmail's `#` marks; else empty."""
    opening = _LEADING.match(text)
    marked = opening or _HASHED.search(text)
    found = _ENHANCED.match(text, marked.end()) if marked else None
    return found.group() if found else ""


def redacted(text: str) -> str:
    """The text on one line, bounded, each mail address as `<address>`."""
    flat = _flat(text[: 4 * MAX_TEXT])
    if "@" in flat:
        flat = _ADDRESS.sub("<address>", _QUOTED_ADDRESS.sub("<address>", flat))
    return flat[:MAX_TEXT]


def _flat(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _class_of(enhanced: str) -> str | None:
    if not enhanced:
        return None
    tables = _tables()
    _, subject, detail = enhanced.split(".")
    return tables.enhanced.get(f"{subject}.{detail}") or tables.subject.get(subject)


# A receiver refuses in few words, many times: without addresses in them, they are the same words.
@lru_cache(maxsize=4096)
def _rule_for(code: int, enhanced: str, words: str, stage: Stage) -> _Rule | None:
    """The first rule that matches."""
    for rule, pattern in _rules():
        if _applies(rule, code, enhanced, stage) and pattern.search(words):
            return rule
    return None


def _applies(rule: _Rule, code: int, enhanced: str, stage: Stage) -> bool:
    if not str(code).startswith(rule.codes):
        return False
    if rule.stages and stage not in rule.stages:
        return False
    # "" in the rule's list stands for a reply without enhanced code.
    return not rule.enhanced or enhanced.partition(".")[2] in rule.enhanced


@cache
def _rules() -> tuple[tuple[_Rule, re.Pattern[str]], ...]:
    return tuple((rule, re.compile("|".join(rule.text), re.IGNORECASE)) for rule in _tables().rule)


@cache
def _tables() -> _Tables:
    text = resources.files(__package__).joinpath("replies.toml").read_text("utf-8")
    raw: dict[str, Any] = tomllib.loads(text)
    tables = msgspec.convert(raw, _Tables)
    named = {*tables.enhanced.values(), *tables.subject.values(), *(rule.class_ for rule in tables.rule)}
    unknown = named - tables.class_.keys()
    if unknown:
        raise ValueError(f"replies.toml: no [class] entry for {sorted(unknown)}")
    return tables
