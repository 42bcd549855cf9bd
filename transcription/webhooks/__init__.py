"""Webhooks: what happens to transcription sessions, told to other applications over HTTP, signed and tried again.

Made to the Standard Webhooks specification (https://www.standardwebhooks.com). Its way: outbox.py notes the end of
a session in the transaction that ends it; announcing.py makes deliveries of ends and of new segments and stores
them; delivering.py sends what is due and notes what came of it.
"""
