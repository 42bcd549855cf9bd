"""The record of who did what: watched, listened, exported, edited, deleted, stopped, changed rights.

`record()` writes one entry, in the transaction of the caller, so that a change and its entry stand or fall together.
Who acts is bound once, where somebody is known (actors.py), not handed through every function.
"""
