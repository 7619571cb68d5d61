"""Cross-learning: a lesson that one agent broadcasts is kept by every other, for good, once.

    nexus ── mesh.learning.nexus {topic, content, …} ──▶ log ──▶ every agent that takes lessons
    aria  ── mesh.learning.aria.integrated {lesson_id} ──▶ log   (its receipt)

*Stored* means that the log has it on disk. *Integrated* means that an agent has made it its own: from then on its mind
and its skills use it, and after a restart still, because lessons are kept for good in the stream `LESSONS`. A lesson's
id is its event id. Recipients are all known agents that take lessons, gone ones included, but for the sender; one that
was down when it was sent integrates it when it is back. An agent's own lessons are its own from the start.

An agent integrates by folding the lesson into its knowledge, then publishing the receipt under a derived id; a second
receipt of the same agent changes nothing. A lesson that `memory.forgotten.<receipt>` names is dropped at once, and not learned
again when it comes late.
"""
