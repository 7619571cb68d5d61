"""Task distribution: work finds the agent that does it best, and is done once.

**Submit.** Anyone publishes `task.submitted`; the first one on an id is the task. It carries what is required, an input, a
priority and a time to live (`timeout_s`, from the entry in the log).

**Assign.** Any built-in agent writes `task.assigned` with the next fence (1, 2, …), by compare-and-set over everything
about the task, so that one of them does. Eligible is who takes tasks, is there, has *all* required skills and has room.
The best score gets it: skill match, similarity of the task to the profile, success rate on such tasks (Beta(1, 1) plus what
the log says), free capacity, affect; each part 0…1, weighted by the settings, ties by name. Agents that have failed or
lost the task already come last. Without required skills the skill most similar to the task counts. With `agent` the task is that
one's alone; with `input.message` it is a message in words, for whichever skill of the agent hears it.

**Lease.** An assignment holds for `lease_s` from its entry, and from each `task.progress` after it. It is over when that time
is, or when no instance of the agent is heard any more. Then the next fence is assigned. What bears an old fence stays in
the history and changes nothing, so its effect happens once: the first result, or final failure, under the current
fence by the assigned agent is the outcome.

**End.** `task.finished`, written once. A failure that may be retried is tried again by another agent, at most `ATTEMPTS_MAX` times;
an assignment may be lost `LOST_MAX` times. `task.cancel` ends as cancelled, the time to live as expired. A required skill
that no listed agent has (gone for less than a minute included) ends as `no_such_skill`; skills that are all there but not
in one agent, as `no_single_agent`. If only a gone agent has them, the task waits for it.

**Composite.** With `subtasks` the task is never assigned. Each subtask becomes a task of its own, under an id derived from both,
once all it depends on have succeeded; their outputs are its `input.dependencies`. The parent succeeds with all outputs by
subtask, or fails with the first that fails; when it ends, its open subtasks are cancelled, but for those whose outcome stands.

**Going on.** A skill may leave checkpoints: episodes of its agent that name the task and carry a packet. Whoever takes the task up under
a later fence, or after a restart, gets the last one. A result or failure tells which memories entered it (`recalled`).

`rules` is the fold of one task and what is due, `matching` says who gets it, `graph` is for composite tasks, `views` tells it all;
`actor` has the hands, `worker` performs what this agent was assigned, `handoff` leaves and finds its checkpoints.
"""
