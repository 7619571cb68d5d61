"""A second thin door: the routes of REST as tools of the Model Context Protocol, for any MCP host.

A tool is a row of `tools` that names a handler of the route table; its input and output schemas are made from that route's Structs, and
what it answers is what REST would. `server` puts the tools behind the official SDK's server, `serving` runs it over stdio or HTTP.
"""
