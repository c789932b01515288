"""The room `node`."""
