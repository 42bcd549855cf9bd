"""Breaking the service on purpose and comparing what was said with what is stored."""
