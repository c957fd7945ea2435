"""What comes back is dealt again, once, or ends; its place under a cap stays its own until it is given back."""

from datetime import timedelta

import msgspec
import pytest

from schemas import ids
from schemas.events import Return
from streams.runtime.dead_letters import Failure
from tests.gate.builders import NOW, Scene, heard


def capped_scene() -> Scene:
    """One mail a week."""
    scene = Scene()
    scene.tenant(caps=[{"class": "m", "max": 1, "per": "7d"}])
    scene.campaign(cap_class="m")
    scene.campaign("other", cap_class="m")
    return scene


def test_a_retry_waits_until_due_and_keeps_its_slot_content_and_date() -> None:
    """Dealt again: deal + 1, the attempts carried over, the same IP, outside the even deal (version 0)."""
    scene = capped_scene()
    (first,) = scene.ask().sends
    out = scene.give("retry", msgspec.structs.replace(first, attempt=1), due_s=600)
    assert out.deliveries == []
    scene.campaign(cap_class="m", subject="Edited", compiled=False)
    scene.later(seconds=599)
    assert scene.release().sends == []
    scene.later(seconds=1)
    (again,) = scene.release().sends
    assert (again.deal, again.attempt, again.slot, again.content) == (2, 1, first.slot, first.content)
    assert (again.created_at, again.queued_at, again.weights_version) == (NOW, scene.now, 0)
    assert again.expire_at == first.expire_at and again.source_offset == first.source_offset


def test_a_retry_leaves_a_slot_that_takes_no_mail() -> None:
    """A blocked or drained IP is left for another, dealt as new mail is; so is every slot for `drained`."""
    scene = Scene(slots=2)
    (first,) = scene.ask().sends
    scene.give("retry", first)
    scene.egress(first.slot, state="drained")
    (again,) = scene.release().sends
    assert again.slot == 1 - first.slot and again.weights_version != 0
    scene.give("drained", again)
    assert scene.release().sends[0].weights_version != 0


def test_a_return_counts_once_and_only_for_the_current_deal() -> None:
    """Twice the same return, one of an older deal, and one of a mail nobody knows are counted and ignored."""
    scene = Scene()
    (first,) = scene.ask().sends
    scene.give("retry", first)
    scene.give("retry", first)
    (second,) = scene.release().sends
    scene.give("parked", first)
    scene.give("give_back", first)
    scene.give("retry", msgspec.structs.replace(second, recipient_id="nobody"))
    assert scene.desk.counters["returns_ignored"] == 4 and scene.desk.waiting == 0


def test_a_retry_needs_no_credit_and_passes_those_that_wait_for_it() -> None:
    """A hundred wait for the pace: a retry that is due goes beside them."""
    scene = Scene()
    (first,) = scene.ask("first").sends
    scene.campaign(pace_per_s=0.1)
    for number in range(100):
        scene.ask(f"u{number}")
    scene.give("retry", first)
    assert [one.recipient_id for one in scene.release().sends] == ["first"]


def test_a_retry_keeps_its_place_under_the_cap() -> None:
    """It isn't capped by itself, and nobody takes its place while it waits."""
    scene = capped_scene()
    (first,) = scene.ask().sends
    scene.give("retry", first, due_s=60)
    assert scene.ask(campaign_id="other").types == ["capped"]
    scene.later(seconds=60)
    assert len(scene.release().sends) == 1
    assert scene.ask(campaign_id="other").types == ["capped"]


def test_a_place_given_back_is_free_and_the_send_id_stays_taken() -> None:
    """After a bounce the person may get another mail, but not the same again."""
    scene = capped_scene()
    (first,) = scene.ask().sends
    assert scene.give("give_back", first).deliveries == []
    assert scene.ask().types == ["duplicate"]
    assert len(scene.ask(campaign_id="other").sends) == 1


@pytest.mark.parametrize("ending", ["suppressed", "cancelled", "expired"])
def test_a_return_that_may_not_go_again_ends_and_gives_its_place_back(ending: str) -> None:
    """The final outcome is named by send id, deal and type, and tells the slot it came from."""
    scene = capped_scene()
    (first,) = scene.ask().sends
    scene.give("retry", first, due_s=60)
    scene.later(seconds=60)
    match ending:
        case "suppressed":
            scene.suppress("u1@docomo.example", reason="hard_bounce")
        case "cancelled":
            scene.campaign(cap_class="m", state="cancelled")
        case _:
            scene.later(hours=24)
    (final,) = scene.release().finals
    assert (final.type, final.deal, final.slot, final.event_id) == (
        ending,
        1,
        first.slot,
        ids.deal_event_id(first, ending),
    )
    assert final.latency_ms == (scene.now - NOW) / timedelta(milliseconds=1)
    scene.apply("suppressions", scene.suppress("u1@docomo.example", reason="hard_bounce"), None)
    assert len(scene.ask(campaign_id="other").sends) == 1


@pytest.mark.parametrize("ending", ["suppressed", "cancelled", "expired"])
def test_a_return_in_doubt_that_may_not_go_again_is_uncertain_and_keeps_its_place(ending: str) -> None:
    """An attempt before may have reached the person: nothing is claimed, and nobody gets its place."""
    scene = capped_scene()
    (first,) = scene.ask().sends
    scene.give("retry", msgspec.structs.replace(first, in_doubt=True), due_s=60)
    scene.later(seconds=60)
    (second,) = scene.release().sends
    assert second.in_doubt
    scene.give("retry", second, due_s=60)
    key = scene.suppress("u1@docomo.example", reason="hard_bounce") if ending == "suppressed" else None
    if ending == "cancelled":
        scene.campaign(cap_class="m", state="cancelled")
    scene.later(hours=24 if ending == "expired" else 1)
    (final,) = scene.release().finals
    assert (final.type, final.final, final.event_id) == ("uncertain", True, ids.deal_event_id(second, "uncertain"))
    assert final.class_ == {"suppressed": "suppressed", "cancelled": "campaign_state", "expired": "expire_at"}[ending]
    if key is not None:
        scene.apply("suppressions", key, None)
    assert scene.ask(campaign_id="other").types == ["capped"]


def test_a_return_due_after_its_end_ends_in_time() -> None:
    """A retry scheduled beyond `expire_at` is not kept until then."""
    scene = Scene()
    (first,) = scene.ask().sends
    scene.give("retry", first, due_s=40 * 3600)
    assert scene.desk.next_release(scene.now) == first.expire_at
    scene.now = first.expire_at
    assert [one.type for one in scene.release().finals] == ["expired"]


def test_a_paused_return_waits() -> None:
    """A pause holds retries, too, without a busy loop."""
    scene = Scene()
    (first,) = scene.ask().sends
    scene.give("retry", first)
    scene.campaign(state="paused")
    assert scene.release().sends == []
    assert scene.desk.next_release(scene.now) == scene.now + timedelta(seconds=1)


def test_a_return_that_does_not_decode_is_a_dead_letter() -> None:
    """So is one with no value at all."""
    scene = Scene()
    for value in (None, b"{", b'{"kind":"retry"}'):
        out = heard(scene.desk.receive(scene.source("returns"), value, scene.now))
        assert len(out.letters) == 1 and not out.deliveries


def test_an_internal_error_ends_a_returned_mail_once() -> None:
    """`rejected`, unless the return is of a former deal or only gives back; afterwards the mail is closed."""
    scene = Scene()
    (first,) = scene.ask().sends
    value = msgspec.json.encode(Return(kind="retry", send=first, due=NOW, reason="t", at=NOW))
    out = heard(scene.desk.reject(scene.source("returns"), value, NOW, Failure(error=KeyError("x"))))
    assert (out.types, out.finals[0].deal, len(out.letters)) == (["rejected"], 1, 1)
    out = heard(scene.desk.reject(scene.source("returns"), value, NOW, Failure(error=KeyError("x"))))
    assert (out.types, len(out.letters)) == ([], 1)
    assert scene.ask().types == ["duplicate"]
