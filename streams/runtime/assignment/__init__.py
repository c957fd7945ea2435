"""Who gets which partition: the plan, the addresses that it depends on, and when a new one is asked for."""
