"""The embedded recogniser: a Riva-compatible gRPC server. Imports no Django; see `server.py`."""
