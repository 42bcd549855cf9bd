"""Finding past sessions: the full-text index, metadata, and pages by key."""
