"""Tamper-evident history: each persisted row is a link of a hash chain, whose heads are signed and put on the log.

    row ── salt, SHA-256 ──▶ digest ── with the link before it ──▶ link          `chain`, pure; table `seal_links`
    the link at the end ── Ed25519 and ML-DSA-65 ──▶ `memory.seal.<stream>` on the log, and so a row itself   `keys`, `sealer`
    the rows, the links, the seals of the table and of the log ──▶ what was changed, and where                `verifying`

Rows are sealed in batches behind the persister, in the order of the log. A row that is forgotten leaves its digest, which without
its salt says nothing of it, and the entry that tells of the forgetting accounts for it. A rebuild makes the same rows, so the chain
stands over it; it is no projection of the log, because salts are chosen at random.

What it shows: any row that was changed, deleted, put in, or moved after it was sealed. Whoever changes a row and computes the rest
of the chain again is found by the next signed head, which a copy of the log or of any one seal keeps. What it cannot show: that
what was sealed was true, or what happened to rows after the last seal (at most `seal_every_s` of them).
"""
