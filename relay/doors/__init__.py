"""The doors: other ways in than Kafka itself. Each turns what it hears into the records of `schemas`, and
decides nothing about jobs.
"""
