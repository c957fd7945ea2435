"""How a message leaves a slot: find the receiver, speak SMTP, understand the answer, choose when to try again.

1. `routes` asks DNS where a domain takes its mail (RFC 5321 section 5.1), or names the smarthost.
2. `pool` keeps one slot's connections: reuse, limits by host and slot, the next MX when one does not answer.
3. `connection` opens one: bound to the slot's address, EHLO with its name, STARTTLS; `wire` pairs replies to commands.
4. `smtp` runs one transaction on it, in one write where PIPELINING is offered (RFC 2920).
5. `replies` turns the answer into a disposition and a class (RFC 3463 and `replies.toml`).
6. `retry` says when to try again (`retry.toml`), or that there is no time left.

Before that: `rollup` names the provider behind a domain's mail hosts, `shaping` its limits for one IP, `learned` the
rate that its replies tell; `limiter` is both at a moment, `slot_limits` those of one slot, `hold` who waits.
"""
