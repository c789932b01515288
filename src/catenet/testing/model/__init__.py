"""The production consensus core, driven exhaustively: every schedule of a small, exactly described model.

    config        what a model is bounded by, and what an exploration comes to
    moves         the alphabet: what can happen to one validator, as plain values
    scene         four validators, the blocks that can be proposed, and the bytes behind each move
    validator     one honest validator: the real machine, the real guard, a journal that can lose its end
    canonical     what of a validator's state can still make a difference, as a comparable value
    alphabet      which moves are possible, given what the others have signed
    copies        a validator's mutable state, copied at each transition
    automaton     one validator's states, numbered; each transition was made by the production core
    turns         from one signature to the next: the moves of one validator that nobody else sees
    invariants    what must hold of everything that was signed and decided
    completion    from a state on, a network that delivers: the height must be decided
    explore       `explore(config) -> Exploration`: all validators together, breadth first

**Why so few states are the whole model.** Validators meet only in what they sign. What was signed stays
available for ever (a lost message is one that is never delivered), and the traitor may sign anything at any
time, so it has no state. Hence a state of the network is one local state per honest validator and nothing
else, and the local machines, which are deterministic and pure, are driven once per (state, move) and then
looked up. Two reductions follow, both without loss:

1. *Nobody sees a move that signs nothing.* Such a move of one validator commutes with every move of the
   others: it neither needs nor takes anything of theirs that could go away. So it may be put off until just
   before that validator's next signature, and the network is searched from signature to signature.
2. *Votes that reach no threshold* change the vote book and nothing else (every rule asks for a third or for
   two thirds), so they too are put off, and come in groups that reach one. Which votes fill the slots of the
   book makes no difference afterwards: a whole polka, a round certificate and a committed block count
   whatever the slots hold (G3, G6), and can be had exactly when votes that would form them exist. The same
   goes for blocks: whoever names one can get it (G5).

With `every_move` the first is not used, with `single_votes` the second is not: the vote book is then part of
the state. Where that is feasible, tests show that the same signatures are reached.

**What is outside the model:** powers that differ, more than one height, Status and the timers that only ask
(the network shows everything to everybody anyway), vote times, batches, a slow application. The simulator
has them.
"""
