"""Forgetting: what an agent, a session, a tag or an id left is erased everywhere, in steps that each may be taken twice.

    `selection`   which events and concepts that is, from the database as far as the log goes now
    `forgetter`   tells the log: `memory.forgotten.<receipt>` names them, and concepts that rest on others too are told anew
    `projection`  what that entry does to the database; the persister and the rebuild go this way
    `eraser`      then the bytes: the log's payloads and copies of them (`payloads`, `replies`), Redis, and the files of
                  PostgreSQL (`scrub`); what is not confirmed is taken up again after a restart
    `guard`       what was forgotten is not remembered again, however late it comes

Nothing here keeps what was asked for in plain words: a session or a tag may itself be what must not be known.
"""
