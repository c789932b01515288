"""Example applications: deterministic classes over `types.application`. No clock, no I/O, no randomness."""
