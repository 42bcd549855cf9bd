"""Audio as bytes: formats, containers, levels."""
