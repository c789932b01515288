"""The test kit: the simulator and the checker of histories. Shipped: authors of applications use it too.

The simulator drives the production core over pretended clocks, networks and disks. No node uses what lives
here.

    network          `SimulatedNetwork`: the author's kit, a network under faults that a test chooses
    submission       transactions that a test handed in, and waiting for them
    watch            what applications may not do is found here
    plugin           the pytest fixture `catenet_network`
    linearizability  the checker of what concurrent clients of a real network saw
    simulator        the machinery, and whole schedules of chance
"""
