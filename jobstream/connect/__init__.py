"""The log as tables in PostgreSQL: Kafka Connect, its connectors, and what they need on one machine.

Owns the connectors' settings, the tables, and the dev cluster's worker and database. It decides nothing about
jobs, and no job ever waits for it.
"""
