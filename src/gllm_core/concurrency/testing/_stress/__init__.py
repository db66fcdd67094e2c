"""The stress engine: seeded scenarios with fault injection, each round checked against the library's promises.

Uses the library's public names only. `campaign` hands out shards, a shard is one child process (`child`), which runs rounds
of one scenario (`rounds`) and writes down each call (`history`).
"""
