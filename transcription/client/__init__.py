"""The client's side of the native protocol: what `manage.py transcribe` and tests speak with."""
