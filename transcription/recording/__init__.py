"""Audio that is kept: written as it arrives, joined to one file at the end, heard, repaired, deleted."""
