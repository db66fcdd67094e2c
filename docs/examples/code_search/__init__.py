"""Full-text search over the standard library's own source: a small program that needs both bridges, all the time.

python docs/examples/code_search

index    blocking   reads the sources into a SQLite database
service  async      an HTTP service; its answers come from blocking queries, through `asyncify`
client   blocking   a client for any thread; its requests are async, through `syncify`
scenes   blocking   Ctrl-C in the middle of a call, a fork, an exit with a call in flight
demo     blocking   runs it all, measures, and checks what it shows
"""
