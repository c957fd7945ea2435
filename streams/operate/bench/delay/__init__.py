"""`evenpost bench delay`: what one connection delivers to a receiver that is far away, ours and plain aiosmtplib's.

`far` puts the distance in, `work` delivers on both sides in turn, `verdict` compares, `report` shows.
"""
