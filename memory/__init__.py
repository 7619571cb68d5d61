"""The past: everything that happened, persisted once in effect, and found again.

The log (JetStream) is the truth; what stands here is its projection, and working and semantic memory beside it.

    log ── `persister` ──> episodes ── `embedder` ──> vectors          PostgreSQL, schema `memory_system`
                               └────── `search` ───────┘
    questions ── `questions` ──> episodes, `working`, `concepts`, `search`, `arrivals`, `stats`

Pure, without I/O: `indexed_text`, `importance`, `episode_row`, `cursor`, `fusion`.
SQL: one statement a file in `queries/`, each called by one function beside the thing it is about.
"""
