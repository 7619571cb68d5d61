"""The house: command line, settings, embedded servers and the supervision of processes."""
