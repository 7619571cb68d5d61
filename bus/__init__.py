"""The roads: the table of subjects, streams, the connection, the log, outcomes of a delivery, services and errors.

`subjects` says which message travels where; `connection` publishes and asks; `log` reads what was accepted;
`delivery` settles what a durable consumer was handed; `service` answers questions.
"""
