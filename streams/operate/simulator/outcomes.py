"""Which answer an address gets: the address itself says so.

The word is looked for at the start of the local part, then at the start of the domain (so that `full.example` is full
for everybody).  Case does not matter, and a letter may not follow: `full`, `full-7` and `full.of` are words, `fuller`
is a name.  Codes are RFC 5321's and RFC 3463's.

| word        | when         | what happens                                     | how often            |
|-------------|--------------|--------------------------------------------------|----------------------|
| `greylist`  | RCPT         | 450 4.7.1                                        | first try            |
| `unknown`   | RCPT         | 550 5.1.1                                        | always               |
| `full`      | RCPT         | 452 4.2.2                                        | always               |
| `throttle`  | RCPT         | 421 4.2.1 and the connection closed; 451 4.2.1   | first try; second    |
| `drop`      | in the body  | connection dropped, message not taken            | first try            |
| `dropafter` | after the dot| message taken and logged, dropped without reply  | first try            |
| `stall`     | after the dot| message taken and logged, 250 after `stall_s`    | first try            |
| `spam`      | after the dot| 554 5.7.1                                        | always               |
| `slow`      | after the dot| 250 after `slow_s` seconds                       | always               |
| else        | after the dot| 250 2.0.0                                        |                      |

A number and an x after the word say how many tries instead: `dropafter3x-taro`, `taro@stall2x.example`.

A try is counted for a recipient (lower-cased), whoever sends and from whatever IP.  Of several recipients in one
message the first in the order drop, spam, dropafter, stall, slow decides for all of them.
"""

import re
from typing import Final, Literal

import msgspec

Act = Literal["accept", "delay", "stall", "refuse", "drop"]
Stage = Literal["rcpt", "body", "dot"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply line; `closes` = the server closes the connection after it (RFC 5321 3.8)."""

    code: int
    enhanced: str
    text: str
    closes: bool = False

    def wire(self) -> bytes:
        """As it goes over the wire."""
        return f"{self.code} {self.enhanced} {self.text}\r\n".encode("ascii")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, at which stage, for how many tries (None = each); the last of `replies` goes on for later tries."""

    name: str
    act: Act
    stage: Stage = "dot"
    tries: int | None = None
    replies: tuple[Reply, ...] = ()

    def applies(self, tried: int) -> bool:
        """Whether it happens again after `tried` times."""
        return self.tries is None or tried < self.tries

    def reply(self, tried: int) -> Reply:
        """The refusal after `tried` earlier ones."""
        return self.replies[min(tried, len(self.replies) - 1)]


def _refuse(name: str, stage: Stage, *replies: Reply, tries: int | None = None) -> Outcome:
    return Outcome(name=name, act="refuse", stage=stage, tries=tries, replies=replies)


ACCEPT: Final = Outcome(name="accept", act="accept")

# In the order in which they decide for a message of several recipients.
OUTCOMES: Final[dict[str, Outcome]] = {
    outcome.name: outcome
    for outcome in (
        _refuse("greylist", "rcpt", Reply(code=450, enhanced="4.7.1", text="greylisted, try again"), tries=1),
        _refuse("unknown", "rcpt", Reply(code=550, enhanced="5.1.1", text="user unknown")),
        _refuse("full", "rcpt", Reply(code=452, enhanced="4.2.2", text="mailbox full")),
        _refuse(
            "throttle",
            "rcpt",
            # Of this mailbox (RFC 3463 3.3): what a provider takes of an IP is `doors`' business.
            Reply(code=421, enhanced="4.2.1", text="too many messages to this mailbox, closing", closes=True),
            Reply(code=451, enhanced="4.2.1", text="too many messages to this mailbox, slow down"),
            tries=2,
        ),
        Outcome(name="drop", act="drop", stage="body", tries=1),
        _refuse("spam", "dot", Reply(code=554, enhanced="5.7.1", text="message looks like spam")),
        Outcome(name="dropafter", act="drop", stage="dot", tries=1),
        Outcome(name="stall", act="stall", stage="dot", tries=1),
        Outcome(name="slow", act="delay", stage="dot"),
    )
}
_RANK: Final = {name: rank for rank, name in enumerate((*OUTCOMES, ACCEPT.name))}
_WORD: Final = re.compile(rf"({'|'.join(OUTCOMES)})(?![a-z])(?:(\d{{1,4}})x(?![a-z]))?", re.IGNORECASE)


def outcome_for(address: str) -> Outcome:
    """The outcome that the address asks for, by its local part first, then by its domain."""
    local, _, domain = address.rpartition("@")
    word = _WORD.match(local) or _WORD.match(domain)
    if word is None:
        return ACCEPT
    outcome = OUTCOMES[word[1].lower()]
    return outcome if word[2] is None else msgspec.structs.replace(outcome, tries=int(word[2]))


def foremost(outcomes: list[Outcome]) -> Outcome:
    """The one that decides for a message; ACCEPT of none."""
    return min(outcomes, key=lambda outcome: _RANK[outcome.name], default=ACCEPT)
