"""A2A 1.0 at the door: any agent that speaks the Agent2Agent protocol hands its work to the mesh.

**Nothing is kept here.** An A2A task is a mesh task: what a client is told of it is folded from its entries in the log each time
(`story`), its stream is the log followed (`operations`), and it goes on without this gateway. What the mesh decides, the mesh decides.

**In.** A message becomes a submission whose `input.message` is the message; a data part that is an object lends its fields to
`input` too, which is how skills that take fields are called. The skill is `message.metadata.skill`, else the setting
`CEREBRO_A2A_SKILL`, else the mesh looks for the skill that fits best. A message with a `taskId` becomes `task.input`.

**Out.** `submitted` is submitted, `assigned` and `progress` are working, `progress` with `input_required` is that, and
`finished` is completed, failed (also: expired), canceled, or rejected where the error's code says so. `progress.artifact` becomes an
artifact, and so does the output of a result. A result with a `message` and no artifact answers the call directly with this
message, unless the client was told of the task before.

**Two bindings**, the same operations: `rpc` (JSON-RPC 2.0) and `rest` (HTTP+JSON), with errors as A2A has them (`faults`). The card
(`card`) is made from who is there now.

**Push.** A client's webhook is kept in the bucket `a2a_push` (`webhooks`) and served from the log by a consumer of its own
(`push`), off every request, within bounds, and only to addresses that the settings allow (`post`).
"""
