"""A worker's life: it starts, says how it is, is watched, and ends in one of two ways."""
