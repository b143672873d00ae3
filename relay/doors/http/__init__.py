"""The HTTP service: asks for jobs, tells of them, changes them, takes receipts, for whoever speaks HTTP.

`app.create_app` is the service, `serve.serve` listens. Keeps no state: it writes to Kafka, and asks the
streams workers. Needs the extra `http`; nothing else of the relay imports it.
"""
