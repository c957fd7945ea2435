"""What demo, bench and chaos do alike: `checks` that must hold, `tables` of them, and a `screen` while they run.

`receiving` is the far side of a run · `usage` what its processes used · `warehouse`, `signatures`, `processes` what is
checked of any run.
"""
