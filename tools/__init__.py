"""Maintainers' tools: the builder that turns lessons/ into notebooks/. Readers never need them."""
