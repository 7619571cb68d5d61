"""Real NATS, PostgreSQL and Redis servers as direct children of the launcher, on 127.0.0.1 only.

The three have one shape, `cerebro.part.Server`: a constructor with settings, `start`, `stop`, `wait`, and the `url`
they are reached by.
"""
