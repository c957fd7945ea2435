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
from streams.delivery.rollup import BY_HOST
from streams.delivery.routes import nameservers
from streams.operate.errors import UnknownThingError, UsageFault
from streams.operate.provider_names import check_provider
from streams.runtime.settings import Settings
from streams.spread.providers import OTHER


def check(settings: Settings, roles: Iterable[str]) -> None:
    """Read what workers of these roles will read.  Raises UsageFault."""
    try:
        if "control" in roles:
            for rule in loading.load(settings.control.automation).rules:
                named = sorted(rule.providers | rule.except_providers)
                table = f"[rule.{rule.name}]"
                _check(settings, settings.control.automation, table, named)
                _no_host(settings, settings.control.automation, table, named)
        if "sender" in roles:
            named = sorted(shaping.load(settings.smtp.shaping).named)
            _check(settings, settings.smtp.shaping, "[provider]", named)
            nameservers(settings.dns.servers)
    except (RuleFault, ShapingFileError, ValueError) as error:
        raise UsageFault(str(error)) from error


def _no_host(settings: Settings, file: Path | None, table: str, providers: Iterable[str]) -> None:
    """Raise UsageFault for a host's own name: deliveries say `other` of all such hosts, so no rule would ever fire."""
    for name in providers:
        if name.startswith(BY_HOST) and name not in settings.providers.values():
            fix = f"deliveries to hosts that no list names are {OTHER}'s; name {OTHER}, and the host in reply"
            raise UsageFault(f"{file}: {table}: no provider {name!r} here; {fix}")


def _check(settings: Settings, file: Path | None, table: str, providers: Iterable[str]) -> None:
    for name in providers:
        try:
            check_provider(settings, name)
        except UnknownThingError as error:
            raise UsageFault(f"{file}: {table}: {error}; a host's own name is mx:NAME") from error
