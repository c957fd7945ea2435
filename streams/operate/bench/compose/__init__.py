"""`evenpost bench compose`: what a message costs to compose, as a share of its signature.

`work` measures in turn, `verdict` compares, `report` shows.  Nothing is sent.
"""
