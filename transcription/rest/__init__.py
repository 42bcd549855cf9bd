"""The HTTP API: a router for each kind of object, put together in api.py."""
