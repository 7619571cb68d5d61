"""The handlers, one file for each part of the API. Each takes a `Call` and gives an `Answer`; its docstring is its documentation."""
