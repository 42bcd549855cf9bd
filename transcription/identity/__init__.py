"""Who somebody is: keys, tokens, logins, origins, and what they may be used for."""
