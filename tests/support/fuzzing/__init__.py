"""Inputs that are nearly right, and what every reader of bytes must do with them.

Generators take a `random.Random`: Hypothesis hands in one that it can shrink, the campaign a seeded one. What
a reader promises stands in `targets`; how long and how large it may become in `bounds`.
"""
