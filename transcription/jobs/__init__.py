"""Work that no request waits for: kept in tables, done by whichever process comes first, taken up again if it dies."""
