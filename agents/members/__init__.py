"""Membership: who is in the mesh now, and who has ever been.

An agent is a member while one of its instances puts its profile into bucket `presence` every second. It is `suspect`
after 2 s of silence and `gone` after 3 s; a gone agent is listed for 60 s more. Each change of an instance (`joined`,
`left` with a goodbye, `lost` in silence) is logged once as `mesh.member.<agent>` by whichever built-in agent is first
(compare-and-set on that subject). *Known* are all agents the log has ever seen join: they are a lesson's recipients.
"""
