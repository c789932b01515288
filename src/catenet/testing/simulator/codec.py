"""The production codecs of frames and records, each distinct run of bytes read once.

A broadcast reaches every peer with the same bytes, and a journal is read again at each restart. What is read
are immutable values, so whoever receives the same bytes may share one; the first reader reads them for real.
"""

from functools import lru_cache

from catenet.wire import convert, records

decode_frame = lru_cache(maxsize=4096)(convert.decode_frame)
decode_record = lru_cache(maxsize=4096)(records.decode_record)
