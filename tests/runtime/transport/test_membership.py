"""A member's questions to its group: is what I was assigned still mine, and leaving for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator

from streams.runtime.app import EvenpostApp
from streams.runtime.transport.static_member import FENCED_INSTANCE_ID, HeartbeatResponseV3
from tests.runtime.builders import deployed
from tests.runtime.transport.members import member, until_true


def owned(app: EvenpostApp) -> set[int]:
    """The partitions of TOPIC that the member has."""
    return {tp.partition for tp in app.consumer.assignment()}


@pytest.mark.parametrize("instances", [(None, None), ("one", "two")], ids=["dynamic", "static"])
async def test_an_assignment_is_confirmed_only_while_it_stands(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, instances: tuple[str | None, str | None]
) -> None:
    """Another member's join makes the old generation unconfirmed at once, and who left gives its partitions away."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    async with member(settings, "one", instance=instances[0]) as one:
        assert await one.consumer.confirmed()
        stale = one.consumer._thread.assigned
        async with member(settings, "two", instance=instances[1]) as two:
            await until_true(lambda: one.consumer._thread.assigned not in {None, stale}, "a new generation")
            assert await one.consumer.confirmed()
            assert await two.consumer.confirmed()
            current, one.consumer._thread.assigned = one.consumer._thread.assigned, stale
            assert not await one.consumer.confirmed()
            one.consumer._thread.assigned = current
            assert len(owned(one)) == 1
            await two.consumer.leave()
            assert not two.consumer.in_group
            assert not await two.consumer.confirmed()
            # The session is 45 s and no static member leaves by itself: within 15 s it was the leaving that moved it.
            await until_true(lambda: len(owned(one)) == 2, "the partitions back", limit_s=15)
            assert await one.consumer.confirmed()


async def test_a_namesake_takes_the_confirmation_away(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A second process under a static member's name: the first is not the owner any more, though nothing moved."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    async with member(settings, "one", instance="one") as first:
        was = first.consumer._thread.assigned
        async with member(settings, "one-again", instance="one") as second:
            assert await second.consumer.confirmed()
            now, first.consumer._thread.assigned = first.consumer._thread.assigned, was
            assert not await first.consumer.confirmed()
            first.consumer._thread.assigned = now


async def test_a_coordinator_that_says_for_a_moment_that_a_name_is_taken_is_asked_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that was killed says so while it reads the group in: the member stays what it was."""
    send, lies = GroupCoordinator._send_req, [2]

    async def lying(self: GroupCoordinator, request: Any) -> Any:
        answer = await send(self, request)
        if isinstance(answer, HeartbeatResponseV3) and lies[0]:
            lies[0] -= 1
            answer.error_code = FENCED_INSTANCE_ID
        return answer

    monkeypatch.setattr(GroupCoordinator, "_send_req", lying)
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    async with member(settings, "one", instance="one") as one:
        taken: list[bool] = []
        one.on_member_taken = lambda: taken.append(True)
        was = one.consumer._thread.assigned
        await until_true(lambda: not lies[0], "two lies")
        assert await one.consumer.confirmed()
        assert one.consumer._thread.assigned == was
        assert not taken


async def test_no_two_assignments_have_one_number(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Whatever Kafka's generation is: what was fetched under the last assignment must not pass as fresh."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    numbers = []
    async with member(settings, "one", instance="one") as one:
        for _ in range(3):
            numbers.append(one.consumer_generation_id)
            assert await one.consumer.rejoin()
            await until_true(lambda: one.consumer_generation_id != numbers[-1], "another assignment")
    assert numbers == [1, 2, 3]


async def test_a_member_that_stands_by_stays_in_the_group(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Stock aiokafka has a member leave of which nobody asks records for a while, until somebody does."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, gate_partitions=1)
    while_s = 2.0
    async with (
        member(settings, "one", poll_interval_s=while_s) as one,
        member(settings, "two", poll_interval_s=while_s) as two,
    ):
        await until_true(lambda: one.consumer.in_group and two.consumer.in_group, "both in the group")
        (idle,) = (app for app in (one, two) if not owned(app))
        subscription = idle.consumer._thread._consumer._subscription
        await until_true(lambda: subscription.fetcher_idle_time > 2 * while_s, "nobody asks")
        assert idle.consumer.in_group
        assert await idle.consumer.confirmed()
