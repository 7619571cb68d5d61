"""The door: one route table; REST in, bus message out, reply back.

A request goes `door` (limits) → `dispatch` (route, decoding, idempotency) → a handler of `api/`, which publishes or
asks over the bus → reply. Nothing is decided here that an actor decides: the gateway knows nobody but the bus.
"""
