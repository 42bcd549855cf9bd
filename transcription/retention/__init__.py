"""How long sessions and their audio are kept, which ones are kept longer, and what is left of those that went.

rules.py says what a rule means; protecting.py keeps sessions from rules and people; tombstones.py notes each deletion
before it begins and what it took when it is done; purging.py applies the rules in small pieces.
"""
