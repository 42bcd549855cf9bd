"""Whole audio files: decoded, heard through the same sessions as live audio, answered at once or as jobs."""
