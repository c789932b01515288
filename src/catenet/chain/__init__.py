"""The room `chain`."""
