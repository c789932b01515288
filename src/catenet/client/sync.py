"""The client for scripts: the verbs of `sdk.Client`, blocking."""
