"""Real cores over a virtual clock, network and disk; one seeded chooser is all the chance there is.

    chooser       the only nondeterminism
    config        what a schedule is made of, and the report of a run
    profile       which schedule a seed of a campaign stands for
    schedule      one heap of (time, counter, action)
    world         what all nodes of a run share
    keys          fast signatures that only their owner makes
    codec         frames and records, equal ones written and read once
    network       loss, duplication, delay, partitions, broken links
    disk          group commit that takes time, crashes that lose what was not synced
    home          what a node keeps on disk, read at a start, copied and put back
    chain_store   blocks, index and application state in memory, lagging behind the journal
    host          one node: the production core, its effects under the law of durability
    faults        crashes, disks, clocks: what goes wrong with machines
    conduct       the hooks of a traitor; `hand` is what it can do beyond its core
    clients       submissions and what they were promised
    monitor       the invariants, checked at each release of effects
    bounds        the bounds on what a core keeps; `replay` is the log that gives the same core again
    reached       how often a run came to the hard cases
    story         what happened, as lines for people
    run           `run(seed, config) -> Report`
    town          the same parts without chaos, for who plans each fault

The same seed gives the same run, event by event, under any PYTHONHASHSEED: no file here walks through a set.
"""
