"""Composes the HTTP service: the door of `relay.doors.http`, the client's ways to Kafka, the settings."""
