"""The test kit: the simulator. Shipped, because authors of applications use it too.

What lives here drives the production core over pretended clocks, networks and disks. No node uses it.

    network       `SimulatedNetwork`: the author's kit, a network under faults that a test chooses
    submission    transactions that a test handed in, and waiting for them
    watch         what applications may not do is found here
    plugin        the pytest fixture `catenet_network`
    simulator     the machinery, and whole schedules of chance
"""
