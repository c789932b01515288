"""The pool of batches: dissemination of transactions before they are ordered (consensus.md 5).

`machine.Batches` is the whole of it for `core/node.py`; `io` is its vocabulary.
"""
