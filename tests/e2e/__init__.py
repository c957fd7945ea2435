"""The whole, end to end: scenarios, and tests that run them at CI's size (tests/acceptance: at full size)."""

import pytest

# The scenarios' asserts stand in modules that pytest does not rewrite by itself: without it a failure has no words.
pytest.register_assert_rewrite(
    *(f"tests.e2e.{name}" for name in ("foreign", "malformed", "repeats", "restarts")),
    "tests.support.audit",
    "tests.support.e2e",
)
