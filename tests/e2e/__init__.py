"""The whole, end to end: scenarios, and tests that run them at CI's size (tests/acceptance: at full size)."""
