"""Rubbish for every way in: generated requests by schemathesis, mutated messages on every socket."""
