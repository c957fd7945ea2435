"""Who asks the cluster from aside does not rest on one connection."""

from __future__ import annotations

import pytest

from streams.runtime import observer as observer_module
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.observer import Observer
from streams.runtime.settings import KafkaSettings


def test_a_question_that_is_not_answered_is_asked_by_a_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, and that question's client alone: librdkafka may ask a dead connection for good."""
    monkeypatch.setattr(observer_module, "ANSWER_S", 0.2)
    observer = Observer(KafkaSettings(bootstrap="127.0.0.1:1"), "evenpost.gate")
    first = dict(observer._consumers)
    for _ in range(2):
        with pytest.raises(ClusterUnreachableError):
            observer.committed([("evenpost.returns", 0)])
        assert observer._consumers == first
    monkeypatch.setattr(observer_module, "RENEW_S", 0.1)
    with pytest.raises(ClusterUnreachableError):
        observer.committed([("evenpost.returns", 0)])
    assert observer._consumers["high"] is not first["high"]
    assert observer._consumers["stable"] is first["stable"]
    observer.close()
