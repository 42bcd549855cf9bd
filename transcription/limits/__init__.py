"""How much may be used: sessions, connections, rates, quotas, and what was used."""
