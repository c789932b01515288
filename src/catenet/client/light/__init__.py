"""The light client: it believes no node, only signatures of validators that it has a reason to trust.

The rules are pure and in `catenet.chain` (`light`, `light_walk`, `light_fork`, `receipt`); here is what asks
nodes.

provider.py    Provider: what a node is asked for; over our own gRPC services
json_rpc.py    the same over CometBFT's JSON-RPC
shapes.py      JSON of that RPC to values and back
store.py       TrustedStore: verified light blocks on disk
session.py     LightClient: a primary, witnesses that it is compared with, verified answers
compare.py     what a witness says about a header, and what follows when it says something else
receipts.py    makes receipts out of a node's answers
proxy.py       verified answers over HTTP, in the RPC's shapes
"""
