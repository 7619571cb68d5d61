"""Consensus: a proposal ends in exactly one decision, which is a pure fold of the log.

    gateway ── ….proposal.gateway {title, …}        anyone proposes; the id is the proposer's choice
    mesh    ── ….opened {electorate, deadline, …}   any built-in agent makes it whole; one does (compare-and-set)
            ── timer.set.…                          whoever opened it asks the server for the deadline
    nexus   ── ….vote.nexus {choice, …}             each agent of the electorate, once
    server  ── ….deadline                           the server writes it into the log when the time has come
    mesh    ── ….decision {status, tally, …}        any built-in agent writes it down; one does (compare-and-set)

Only the order of the log counts, no clock does. A vote counts if it stands after `opened`, before `deadline` and not
after the entry at which the outcome became certain, if its sender is in the electorate, its choice is one of the options
or `abstain`, and it is that sender's first such vote. With E agents in the electorate and a threshold of a/b:

accepted  some option other than `reject` has b·votes ≥ a·E, and all required approvers chose it.
rejected  no option other than `reject` can reach that any more, required approvers counted.
expired   the deadline stands before either.

A proposal that cannot be put to a vote (a required approver who is not there, and no electorate named) is refused: its decision is
`rejected`, without having been opened. One compare-and-set covers both, so that no replica opens what another has refused.

Absent and abstaining agents are no agreement. `decided_at_seq` is the entry at which it became certain; tally and votes
hold what stood up to there, so every replica would write the same bytes. A vote may tell which memories were before its
voter (`recalled`); that counts for nothing, and memory draws the receipts from it. It is a policy over a trusted log, not
Byzantine fault tolerance: who can write the log can forge it.

The law is `rules.verdict`; the hands are in `actor.py`.
"""
