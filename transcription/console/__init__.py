"""The operators' view of what is live: one picture per process, frames for each viewer, figures."""
