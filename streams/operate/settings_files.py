"""What the settings name, read once before anything starts: a mistake is one line here, and not in a log.

Each role reads its own again when it starts, and ends with the same words, but for the providers that they name: a
name that no mail is dealt under is of no use, and nearly always misspelt.
"""

from collections.abc import Iterable
from pathlib import Path

from streams.control import loading
from streams.control.errors import RuleFault
from streams.delivery import shaping
from streams.delivery.errors import ShapingFileError
from streams.delivery.routes import nameservers
from streams.operate.errors import UnknownThingError, UsageFault
from streams.operate.provider_names import check_provider
from streams.runtime.settings import Settings


def check(settings: Settings, roles: Iterable[str]) -> None:
    """Read what workers of these roles will read.  Raises UsageFault."""
    try:
        if "control" in roles:
            for rule in loading.load(settings.control.automation).rules:
                named = sorted(rule.providers | rule.except_providers)
                _check(settings, settings.control.automation, f"[rule.{rule.name}]", named)
        if "sender" in roles:
            named = sorted(shaping.load(settings.smtp.shaping).named)
            _check(settings, settings.smtp.shaping, "[provider]", named)
            nameservers(settings.dns.servers)
    except (RuleFault, ShapingFileError, ValueError) as error:
        raise UsageFault(str(error)) from error


def _check(settings: Settings, file: Path | None, table: str, providers: Iterable[str]) -> None:
    for name in providers:
        try:
            check_provider(settings, name)
        except UnknownThingError as error:
            raise UsageFault(f"{file}: {table}: {error}; a host's own name is mx:NAME") from error
