"""The live path's way to the database: stored exactly once, taken over, and ended where nobody holds it."""
