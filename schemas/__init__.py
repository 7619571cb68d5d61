"""The words: what travels on the bus and over REST, one file per protocol. Imports nothing of ours.

Every body on the wire is the plain JSON of one of these Structs. Unknown fields are ignored on the wire
(the default of these Structs) and refused at the HTTP door (`gateway` checks against the same types).
Rules that a body must satisfy on its own stand in its Struct, so that every door refuses the same things.
"""
