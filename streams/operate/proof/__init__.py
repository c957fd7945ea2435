"""What demo, bench and chaos do alike: `checks` that must hold, `tables` of them, and a `screen` while they run."""
