"""What can go wrong between a campaign and its bytes.

    ComposeError
    ├── TemplateRefusedError   the template can't be used for anyone: the campaign's content is refused
    ├── RenderError            this person's mail can't be made: a final `rejected`
    ├── KeyRefusedError        a DKIM key file that we won't sign with
    │   └── TokenKeyMissingError   the key that the content's links are signed with is not here
    └── TokenError             a return path or link that we did not make

None of them carries a recipient's address or variables: their words end up in events and logs.
"""


class ComposeError(ValueError):
    """The root."""


class TemplateRefusedError(ComposeError):
    """A template that does not parse, or asks for more than a mail template may."""

    def __init__(self, field: str, line: int | None, reason: str) -> None:
        at = f" line {line}" if line else ""
        super().__init__(f"{field}{at}: {reason}")
        self.field = field
        self.line = line
        self.reason = reason


class RenderError(ComposeError):
    """One send's message can't be built; `field` is the part of the message, never its value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class KeyRefusedError(ComposeError):
    """A DKIM key file that is missing, outside the key directory, not RSA, too short, or does not verify."""

    def __init__(self, key_file: str, reason: str) -> None:
        super().__init__(f"DKIM key file {key_file!r}: {reason}")
        self.key_file = key_file
        self.reason = reason


class TokenKeyMissingError(KeyRefusedError):
    """The key of the content's unsubscribe links and return paths was replaced, and the one before not kept."""

    def __init__(self, reason: str) -> None:
        ComposeError.__init__(self, reason)
        self.key_file = ""
        self.reason = reason


class TokenError(ComposeError):
    """A token that is malformed or not signed by us."""
