"""Take a static member out of its group, by its name (KIP-345).

librdkafka's close does not leave the group of a static member, and its admin client can't take one out (confluent-kafka
2.16).  So aiokafka's client asks the coordinator, as the group's administrator would.
"""

import asyncio
from typing import Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import NoError, UnknownMemberIdError, for_code

from streams.runtime.clients import aiokafka_security
from streams.runtime.settings import KafkaSettings
from streams.runtime.transport.membership import LeaveGroup

# The coordinator answers in milliseconds; a worker that leaves waits no longer for one that is away.
LIMIT_S: Final = 5.0


async def leave_group(kafka: KafkaSettings, group: str, instance_id: str) -> None:
    """Have the static member leave; one that is not in the group has.  Raises KafkaError, TimeoutError."""
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap or "", **aiokafka_security(kafka))
    async with asyncio.timeout(LIMIT_S):
        await client.bootstrap()
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            request = LeaveGroup(group, member_id="", instance_id=instance_id)
            answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        finally:
            await client.close()
    for code in (answer.error_code, *(code for *_, code in answer.members)):
        error = for_code(code)
        if error not in (NoError, UnknownMemberIdError):
            raise error(f"{instance_id} did not leave {group}")
