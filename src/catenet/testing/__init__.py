"""The test kit: the simulator. Shipped, because authors of applications use it too.

What lives here drives the production core over pretended clocks, networks and disks. No node uses it.
"""
