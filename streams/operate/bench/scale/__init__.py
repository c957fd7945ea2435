"""`evenpost bench scale`: what a message costs each role when there are two of them, and what is full first at scale.

`work` runs the pipeline's bench once for each shape, `verdict` compares their costs by role, `outlook` does the
arithmetic for many cores, `report` shows.
"""
