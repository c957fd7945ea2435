"""What the world looks like to a worker: compacted topics folded into memory."""

from streams.views.world import BadRecordError, World

__all__ = ["BadRecordError", "World"]
