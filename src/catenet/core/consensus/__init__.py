"""Tendermint over compact proposals (consensus.md 1 to 4) as a machine without I/O.

`machine.Consensus` is the whole interface, `io` its vocabulary. The rest is cut by question: what is known
of a height (`state`, `votes`, `blocks`), what follows from it (`rules`), what is made known to others
(`liveness`, `fetch`), what is taken from others (`intake`), when (`timers`, `due`), and what survives a crash
(`signing`, `restore`).
"""
