"""Consolidation: what was said of the same becomes one concept, which keeps its sources. Deterministic; no language model.

    sources    episodes that somebody meant to be remembered, and lessons; not what the protocols wrote
    look       up to 1,000 new sources, the most important that is left of them first, beside those alone that share their terms
    groups     star clusters of sources that tell of the same: by words, names, claims, references, session and vectors
    joins      a group that is like a standing concept becomes part of its next version; else two or more form a new one
    alone      what is like nothing stays an episode, and is looked at again when something like it comes
    concept    name and extract of its sources word for word, knowledge type, confidence, every source
    conflict   both statements, with their times; the concept holds one, names the sources that say otherwise, and is less sure

A concept is an entry of the log, `memory.concept.<concept>`, and everything about it is a projection of those entries:
the version that is searched, the versions before, and which episodes are consolidated. Nothing is deleted and nothing
hidden by it: search finds the originals as before, and the concepts beside them.

    source.py       the values                     claims.py     what a sentence claims of something
    entities.py     what a text names              conflicts.py  claims that contradict each other
    sentences.py    where a sentence ends          confidence.py how sure a concept is
    likeness.py     do two tell of the same        knowledge.py  what kind of knowledge it is
    candidates.py   which two to compare           extract.py    what it says, word for word
    grouping.py     which belong together          summary.py    the port for who says it better
    rules.py        the law made of all these      reading.py, run.py  the hands: PostgreSQL, the log, the lock, the schedule
"""
