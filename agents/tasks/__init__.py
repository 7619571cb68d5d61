"""Task distribution: work finds the agent that does it best, and is done once.

**Submit.** Anyone publishes `task.submitted`; the first one on an id is the task. It carries what is required, an input, a
priority, a domain and a time to live (`timeout_s`, from the entry in the log).

**Assign.** Any built-in agent writes `task.assigned` with the next fence (1, 2, …), by compare-and-set over everything
about the task, so that one of them does. Eligible is who takes tasks, is there, has *all* required skills and has room.
The best score gets it: skill match, similarity of the task to the profile, success on such tasks, free capacity, affect; each
part 0…1, weighted by the settings, ties by name. Agents that have failed or lost the task already come last. Without required
skills the skill most similar to the task counts. The same state gives the same choice; the entry holds the scores of all.
With `agent` it is that one's alone; with `input.message` it is a message in words, for whichever skill of the agent hears it.

**Split.** Where the required skills are all there, but not in one agent, `task.split` makes the task composite, once: one part
for each skill, called after it. A part that has all its skill says it needs begins at once; one that lacks something waits for the
parts before it and finds their outputs in `input.dependencies`. What stands in the input under the name of a skill is for that skill
alone. The output is by skill; it is so too where one agent has several required skills and performs each in turn.

**Lease.** An assignment holds for `lease_s` from its entry, and from each `task.progress` after it, which the worker writes by itself
while a skill runs. It is over when that time is, or when the instance that works on it, before that every instance of the agent, is
not heard any more. Then the next fence is assigned. What bears an old fence stays in the history and changes nothing, so its effect
happens once: the first result, or final failure, under the current fence by the assigned agent is the outcome. A skill that
hangs ends as `timed_out` after `skill_timeout_s`.

**Sharing and stealing.** The instances of one agent pull from one durable consumer, each only while it has room, so nothing waits
with a busy one while another is idle. What an agent has not begun within `steal_after_s` is assigned to an idle agent that can do it
(`stolen_from`, next fence); that is no loss for the first one, and it is not given back by the same way.

**Success.** Each outcome under the current fence counts for its agent, its skill and the skill in the task's domain, and fades by
half in `success_half_life_s` of the log's time. What is expected is a Beta distribution, whose prior is the level above (`success`).

**End.** `task.finished`, written once. A failure that may be retried is tried again by another agent, at most `ATTEMPTS_MAX` times,
after a pause that doubles from `retry_first_s` to `retry_max_s` and stands in the assignment (`backoff_s`); an assignment may be lost
`LOST_MAX` times. `task.cancel` ends as cancelled and stops the skill, the time to live as expired. A required skill that no listed
agent has (gone for less than a minute included) ends as `no_such_skill`. If only a gone agent has it, the task waits for it.

**Composite.** With `subtasks` the task is never assigned. Each subtask becomes a task of its own, under an id derived from both,
once all it depends on have succeeded; their outputs are its `input.dependencies`. The parent succeeds with all outputs by
subtask, or fails with the first that fails; when it ends, its open subtasks are cancelled, but for those whose outcome stands.

**Going on.** A skill may leave checkpoints: episodes of its agent that name the task and carry a packet. Whoever takes the task up under
a later fence, or after a restart, gets the last one. A result or failure tells which memories entered it (`recalled`).

**Time.** Leases, pauses, deadlines and fading are counted from the times of entries. A clock only says when to look whether something is
due; what is written then stands in the log once, by compare-and-set, and is the same for everyone.

`rules` is the fold of one task and what is due, `matching` says who gets it, `success` how well an agent does, `split` and `graph` are for
composite tasks, `views` tells it all, `replay` judges a recorded log again; `book` holds all tasks, `actor` has the hands, `worker`
performs what this agent was assigned, `handoff` leaves and finds its checkpoints.
"""
