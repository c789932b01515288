"""Real cores over a virtual clock, network and disk; one seeded chooser is all the chance there is.

    chooser       the only nondeterminism
    config        what a schedule is made of, and the report of a run
    schedule      one heap of (time, counter, action)
    keys          fast signatures that only their owner makes
    network       loss, duplication, delay, partitions, broken links
    disk          group commit that takes time, crashes that lose what was not synced
    chain_store   blocks, index and application state in memory, lagging behind the journal
    host          one node: the production core, its effects under the law of durability
    clients       submissions and what they were promised
    monitor       the invariants, checked at each release of effects
    run           `run(seed, config) -> Report`
    town          the same parts without chaos, for who plans each fault

The same seed gives the same run, event by event, under any PYTHONHASHSEED: no file here walks through a set.
"""
