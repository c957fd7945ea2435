"""`evenpost tenant`: the clients of the pool, each from a TOML file."""

from pathlib import Path
from typing import Annotated

import typer

from streams.operate.cli.terminal import JsonFlag, cluster, print_json, say

app = typer.Typer(no_args_is_help=True)


@app.callback()
def tenants() -> None:
    """The clients of the pool.

    Example: evenpost tenant submit acme.toml
    """


@app.command()
def submit(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="The tenant: its domains, DKIM keys, caps, weight.")
    ],
    *,
    json: JsonFlag = False,
) -> None:
    """Add a tenant, or replace what was said of it before.

    Example: evenpost tenant submit acme.toml
    """
    from schemas.topics import TENANTS
    from streams.operate.documents import read_tenant
    from streams.runtime.cluster import Publisher

    tenant = read_tenant(file)
    with Publisher(cluster()) as publisher:
        publisher.send(TENANTS, tenant.tenant, tenant)
    if json:
        print_json({"tenant": tenant.tenant, "domains": [domain.domain for domain in tenant.domains]})
    else:
        say(f"tenant {tenant.tenant} submitted, sending from {', '.join(domain.domain for domain in tenant.domains)}")
