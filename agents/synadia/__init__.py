"""The Synadia Agent Protocol for NATS, version 0.3: a door to agents and callers that know nothing of the mesh, in both directions.

**Out: members are found and prompted.** Each built-in agent registers itself as a micro service `agents` with the endpoints
`agents.prompt.<agent>.cerebro.main` and `agents.status.…`, and beats on `agents.hb.…` (`main` is the prefix where the settings have one).
For members from elsewhere that take tasks, the first built-in agent that is there does so. A prompt becomes a task for that agent alone,
with `input.message`; `metadata.skill` of the prompt names a skill, else the agent chooses. Back come, as the log tells them, its
messages as `status`, its artifacts as `response`, its questions (`input_required`) as `query`, and at the end the result in words, or the
error frame; then the terminator.

**In: agents that others host become members.** Their signs of life are heard and their registrations read. The first built-in agent
that is there puts a profile into presence for each: role `synadia_agent`, skills `prompt`, the kind of agent it is, and what its
metadata lists as `skills`; it takes tasks, and neither votes nor lessons. What it is
assigned becomes a prompt, what it streams becomes artifacts, its end the result or the failure. It leaves when nobody listens on its
ping any more, or after three beats that did not come.

`rules` has the names and the words, `door` hosts, `bridge` brings in, `guest` does the work of one that was brought in. The wire itself is
in `bus.hosting` and `bus.guests`.
"""
