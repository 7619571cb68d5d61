"""The minds: one process per agent, each folding the log into what it knows and doing what then is its duty.

`actor` drives; `protocol` says what a protocol's hands look like; one folder per protocol, with the law in `rules.py`
and the hands in `actor.py`; `minds` judge, `skills` perform, `profiles` say who is who.
"""
