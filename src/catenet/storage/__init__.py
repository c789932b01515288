"""The room `storage`: everything that survives a crash. Adapters with files and threads; no protocol.

fault.py       Corrupt with file, offset and repair command; fsync of directories
frame.py       bytes of a segment: header, frames with position-bound checksums (pure)
scan.py        the files of a log: chain of segments, torn end, damage, `repair`
inspect.py     reading a log without touching it, a damaged one up to the damage
log.py         Log: the one append-only, checksummed, segmented log (journal and block store)
writer.py      Writer: the one thread that makes the journal and the guard's slots durable (group commit)
guard_file.py  GuardFile: two slots, written alternately, for the double-sign guard's state
tables.py      Tables: ordered tables on LMDB under an in-memory overlay; a flush is one synced commit
blocks.py      bytes of one stored block (pure)
index.py       rows of the block index (pure)
ledger.py      Ledger: final blocks and their index (`types.ports.BlockReader` and `TxWindow`)
state.py       TableState: an application's state (`types.ports.StateStore`)
home.py        layout of a home, its lock, private files
safety.py      Safety: journal and guard, opened together; `repair_home`
"""
