"""Duty: a content version for each campaign, compiled once, or refused with a reason in words."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from agents.control.word import Word
from schemas import ids, topics
from schemas.events import Campaign
from streams.compose.compile import MailTerms, compile_content, refused_content
from streams.runtime.metrics import CONTENTS
from streams.runtime.settings import Settings
from streams.views import World

log = structlog.get_logger(__name__)

# An edit is compiled within so many seconds, plus what it takes.
EVERY_S: Final = 0.2


class Contents:
    """Compiles what is missing.  Doing it twice does no harm: a version is made of the same words."""

    name = "contents"
    every_s = EVERY_S

    def __init__(self, settings: Settings, world: World, word: Word) -> None:
        self._world = world
        self._word = word
        self._terms = MailTerms(
            unsubscribe_url=settings.mail.unsubscribe_url,
            feedback_id=settings.mail.feedback_id,
            token_key=settings.secrets.token_version,
            address_key=settings.secrets.address_id_version,
        )
        self._known: set[str] = set()

    async def turn(self, now: datetime) -> None:
        """Compile each campaign's content as it stands now, where there is none."""
        del now  # each is compiled at its own time: a turn may take minutes
        for campaign in list(self._world.campaigns.values()):
            if campaign.tenant not in self._world.tenants:
                continue
            version = self._world.content_version(campaign)
            key = ids.content_key(campaign.tenant, campaign.campaign_id, version)
            if key not in self._known and key not in self._world.contents:
                await self._compile(campaign, version, key)
            self._known.add(key)

    async def stand_by(self) -> None:
        """What another makes is in the view."""
        self._known.clear()

    async def _compile(self, campaign: Campaign, version: str, key: str) -> None:
        domain, now = self._world.sending_domain(campaign), datetime.now(UTC)
        # In a thread: 2 MB of HTML take seconds.
        try:
            content = await asyncio.to_thread(
                compile_content, campaign, domain, version=version, now=now, terms=self._terms
            )
        except Exception as error:  # one campaign that trips us must not stop everybody's (G8)
            log.exception("content could not be compiled", tenant=campaign.tenant, campaign=campaign.campaign_id)
            content = refused_content(campaign, f"internal error: {type(error).__name__}", version=version, now=now)
        log.info(
            "content", tenant=campaign.tenant, campaign=campaign.campaign_id, state=content.state, reason=content.reason
        )
        await self._word.give(topics.CONTENTS, key, content)
        CONTENTS.labels(content.state).inc()
