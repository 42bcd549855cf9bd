"""Phrases that the recogniser should expect, kept under a name. Pure: text."""
