"""Who is at the door, and what they may do there.

    Authorization: Bearer ck.<name>.<secret>  ──▶ `guard`: known (`keyring`)? too often (`rates`)? allowed this route, and this name?

A key is asked for where the gateway listens on anything but loopback, or the settings say so. Each route of the table names what it
needs (`needs`) and which field of its body says in whose name the caller writes (`acts_as`).
"""
