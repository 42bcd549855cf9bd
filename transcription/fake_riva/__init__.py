"""A recogniser that speaks Riva's gRPC interface and does what a script says, faults included. Not for speech."""
