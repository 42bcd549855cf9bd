"""The pages for people, and what all of them know."""
