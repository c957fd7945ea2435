"""An edit makes a new version of a campaign's content; what was dealt before keeps its own, at the gate and beyond."""

from __future__ import annotations

from email import message_from_bytes, policy

import msgspec

from schemas import ids
from streams.compose.compile import compile_content
from streams.compose.message import Composer
from streams.delivery.attempt import content_key
from tests.compose.builders import SETTINGS, TOKENS, signer
from tests.gate.builders import NOW, Scene


def compiled(scene: Scene, subject: str) -> None:
    """Upstream's word on the campaign, and CONTROL's: senders read both versions from the same view."""
    scene.campaign(subject=subject, compiled=False)
    campaign = scene.world.campaigns["acme:autumn"]
    version = scene.world.content_version(campaign)
    content = compile_content(campaign, scene.world.sending_domain(campaign), version=version, now=NOW)
    assert content.state == "compiled", content.reason
    key = ids.content_key("acme", "autumn", version)
    scene.world.apply("contents", key, msgspec.json.encode(content))


def test_a_retry_after_an_edit_is_the_mail_that_was_first_tried() -> None:
    """Edited while it waits: the retry has the old words and bytes, a new person's mail the new ones."""
    scene = Scene()
    compiled(scene, "First")
    (first,) = scene.ask().sends
    contents = scene.world.contents
    before = Composer(contents[content_key(first)], signers=[signer()], tokens=TOKENS, settings=SETTINGS).compose(first)
    scene.give("retry", msgspec.structs.replace(first, attempt=1), due_s=60)
    compiled(scene, "Second")
    (fresh,) = scene.ask("u2").sends
    scene.later(seconds=60)
    (again,) = scene.release().sends
    assert (again.deal, again.content) == (2, first.content)
    assert fresh.content != first.content
    subjects = []
    for send in (again, fresh):
        composer = Composer(contents[content_key(send)], signers=[signer()], tokens=TOKENS, settings=SETTINGS)
        subjects.append(message_from_bytes(composer.compose(send).data, policy=policy.default)["Subject"])
    assert subjects == ["First", "Second"]
    old = Composer(contents[content_key(again)], signers=[signer()], tokens=TOKENS, settings=SETTINGS)
    assert old.compose(again).data == before.data
