"""What CONTROL concludes from deliveries: automation, volumes, surges and the tenants' fuse.  Pure.

The way of a delivery through this room:

1. `seen` decodes the few fields that are needed.
2. `volumes` counts it in its span, per IP, IP and provider, provider and tenant; `history` holds the spans before.
3. `automation` holds it against the rules (`rules`, read by `loading` from automation.toml and an operator's file over
   it) in `sliding` windows.  `surge` compares the open span with the same span on earlier days, also what waits at the
   gates and has not gone; `fuse` looks at a tenant's bounces and complaints.
4. What fires is a `firing`: an incident with its `evidence`, and the control that stands for a while.
5. `watch` is all of it as one object: deliveries in, firings and volumes out; and which controls are over.

What may be spent meanwhile is `granting`'s: it needs no delivery, but the slots' queues and the gates' demand.

All times come in: a delivery's own, its record's, and the caller's now.  Read again from where `volumes.recount_from`
says, with the incidents told before, the same deliveries make the same figures and no second firing.
"""
