"""The chain format of CometBFT v0.38 (v0.38.26), pure: values, canonical bytes, hashes, signatures, rules.

What may live here: facts of the format and the rules that follow from chain state alone. What may not: I/O,
clocks, randomness, the state of a running consensus, protobuf classes. Of foreign packages only libsodium is
known here.

Every `decode` accepts canonical bytes only (what `encode` of the same value gives), so that bytes and values
name each other one to one.
"""
