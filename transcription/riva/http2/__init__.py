"""gRPC's calls on HTTP/2, by the event loop itself: many streams' messages in one call into the system."""
