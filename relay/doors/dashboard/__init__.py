"""The dashboard: pages for people over what the HTTP service tells, live while somebody looks.

Reads the streams workers' pages, the relays' status and the facts; changes things only through the Door of
`relay.doors.http`, after asking once, and says so in the audit trail.
"""
