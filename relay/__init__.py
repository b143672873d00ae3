"""The edge: from dispatch topics to streams of minions, and their receipts back.

Owns sessions, leases and the choice of a minion for a job. Never decides what becomes of a job: that is the
state machine's, which it meets only in topics. `relay.core` is the pure part; around it `bridge` is Kafka,
`server` is gRPC, and `main` runs a relay. README.md here is the minion protocol, for whoever writes a minion.
"""
