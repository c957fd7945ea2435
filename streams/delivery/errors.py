"""What goes wrong on the way to a receiver.  Each is a result, and none but StaleIntentError leaves `pool`'s deliver.

DeliveryFault
├── ShapingFileError              the deployment's own limits do not read: at the start (also a RuntimeFault)
├── StaleIntentError              before the dot: too long ago that this process was known to own the slot
├── RouteError                    where the domain takes its mail
│   ├── PermanentRouteError       DNS says: nowhere
│   └── TemporaryRouteError       DNS did not say
├── ConnectError                  no connection to one host; the next MX may answer
│   ├── UnreachableError          refused, timed out, lost before the greeting was through
│   ├── RefusedError              the host answered, and does not want us
│   ├── TlsError                  STARTTLS failed
│   └── EgressUnavailableError    the slot's address is not on this machine: no other MX helps
│       └── UnsayableNameError    nor is its name one for EHLO
└── WireError                     the connection can't be used any more (also a ConnectionError)
    ├── ConnectionLostError
    ├── ReplyTimeoutError         (also a TimeoutError)
    └── ProtocolError             the peer does not speak SMTP
"""

from typing import TYPE_CHECKING, ClassVar

from streams.runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from streams.delivery.replies import Reply, Stage


class DeliveryFault(Exception):  # the tree's root is no error by itself
    """Root of the room's own errors."""


class ShapingFileError(DeliveryFault, RuntimeFault):
    """A file of limits that can't be used."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            f"smtp.shaping {file}: {reason}; write it as the shipped shaping.toml is: [default], [provider.NAME], with "
            'connections, messages_per_connection, messages_per_s, messages_per_day, each a number above 0 or "none"'
        )


class StaleIntentError(DeliveryFault):
    """No intent was confirmed soon enough to rule out that another process has the slot; nothing was delivered."""

    def __init__(self, send_id: str, *, age_s: float, limit_s: float) -> None:
        super().__init__(
            f"send {send_id}: its intent is {age_s:.1f} s old, and after {limit_s:g} s (half of "
            "kafka.session_timeout_s) its slot may be another's; nothing was delivered. Look for what stops this "
            "process, or for a slow broker"
        )


class RouteError(DeliveryFault):
    """No target for a domain; `class_` is a class of replies.toml."""

    def __init__(self, domain: str, class_: str, reason: str) -> None:
        super().__init__(f"{domain}: {reason}")
        self.domain = domain
        self.class_ = class_


class PermanentRouteError(RouteError):
    """DNS gave an answer, and no mail can go there."""


class TemporaryRouteError(RouteError):
    """DNS gave no answer; it may later."""


class ConnectError(DeliveryFault):
    """No usable connection to one host."""

    class_: ClassVar[str]

    def __init__(self, host: str, stage: "Stage", reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.stage = stage
        self.reply: Reply | None = None


class UnreachableError(ConnectError):
    """Nothing answered there, or it went away."""

    class_ = "connection_failed"


class RefusedError(ConnectError):
    """The host refused the greeting, EHLO or HELO; `reply` holds its words."""

    class_ = "connection_refused"

    def __init__(self, host: str, stage: "Stage", reply: "Reply") -> None:
        super().__init__(host, stage, f"{reply.smtp_code} {reply.text}")
        self.reply = reply


class TlsError(ConnectError):
    """TLS could not be agreed on."""

    class_ = "tls"


class EgressUnavailableError(ConnectError):
    """The slot's own address can't be bound on this machine."""

    class_ = "egress_unavailable"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            address,
            "connect",
            f"this machine can't send from it ({reason}); give the address to an interface, "
            "or run this slot's sender where it is",
        )


class UnsayableNameError(EgressUnavailableError):
    """The slot's own name is none that EHLO could say (RFC 5321 4.1.1.1): mail waits for a better one."""

    def __init__(self, ehlo: str) -> None:
        ConnectError.__init__(
            self, ascii(ehlo), "ehlo", "no name for EHLO; `evenpost egress set --slot N --ehlo NAME`, its host name"
        )


class WireError(DeliveryFault, ConnectionError):
    """The connection is closed and stays so: a late reply must never answer the next command."""

    class_: ClassVar[str]


class ConnectionLostError(WireError):
    """The peer, or something between, ended the connection."""

    class_ = "connection_lost"


class ReplyTimeoutError(WireError, TimeoutError):
    """The peer did not answer in the time of RFC 5321 section 4.5.3.2."""

    class_ = "timeout"


class ProtocolError(WireError):
    """What came is no reply, or none was asked for."""

    class_ = "protocol_error"
