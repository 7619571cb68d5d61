"""The past: everything that happened, persisted once in effect, and found again.

The log (JetStream) is the truth; what stands here is its projection, and working and semantic memory beside it.

    log ── `persister` ─┬─> episodes ── `embedder` ──> vectors          PostgreSQL, schema `memory_system`
                        │       └────── `search` ───────┘         its `arms`, `fusion`, `neighbours`, `hits`; kept by `answers`
                        ├─> edges (`graph`) ── `spreading`, which `search` may ask
                        └─> tasks (`open_tasks`) ── `continuity`
    questions ── `questions` ──> episodes, `working`, `concepts`, `search`, `graph`, `continuity`, `arrivals`, `stats`

Pure, without I/O: `indexed_text`, `importance`, `episode_row`, `edges`, `chunks`, `cursor`, `fusion`, `pages`.
SQL: one statement a file in `queries/`, each called by one function beside the thing it is about.
"""

import os

# One thread for each matrix product: the embedder's queue and a question each have a thread of their own, and OpenBLAS lets
# only one of them use its pool at a time, so that a question would wait behind the (nicer) queue for up to half a second.
# Must be said before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
