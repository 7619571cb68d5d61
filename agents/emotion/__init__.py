"""Emotional synchronisation: every agent has an affect, the mesh has a mean of them, and acts on it.

*State.* An agent's affect is a point in the PAD space (Mehrabian and Russell 1974): valence, arousal and dominance, each
−1 … 1, with a label (the octant, or `neutral`) and its cause. Who feels says so itself, on its own subject; the last entry
there is its state, and the server copies it into bucket `affect`.

*Appraisal.* What happens to an agent moves it by a table after OCC (Ortony, Clore and Collins 1988): how its task ended, how
its proposal was decided, whether its vote lost, an error, load above 0.9, and what it was asked to appraise (a stimulus: an
event, a pull towards a point, or both). Each entry of the log is answered by one state, whose id is derived from the agent
and that entry's sequence. So the log itself says what has been appraised, and a restart repeats nothing and skips nothing.

*Decay.* Between events an agent comes back to its temperament, by half every few minutes; it says so when it has drifted
noticeably, and no more often than every 5 s.

*Collective.* The mean over the members that are present and have said what they feel. Coherence is 1 − mean pairwise
distance / (2·√3). Both, and the alignment that follows from them (how much work at once, how sure an approval must be), are
pure functions of all states, so that every replica answers the same.

*Limits.* What is older than ten minutes is not appraised any more: it would have faded. At most 1,000 appraisals wait.
"""
