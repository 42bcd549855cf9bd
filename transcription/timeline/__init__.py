"""What happened to a session from start to end, for its page: a short log beside its transcript."""
