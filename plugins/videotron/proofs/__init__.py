"""Proof of play on the hub's side: taken in, kept as signed, held against the journal."""
