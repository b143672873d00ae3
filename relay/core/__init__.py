"""What a relay decides, as pure code: sessions, leases, assignment, windows of offsets.

Owns every rule of the relay. Time comes in as an argument, in ms; nothing here reads a clock or a random
source, opens a connection, or writes a log.
"""
