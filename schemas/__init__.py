"""The language everyone speaks: records, their bytes, topics, names, defaults and settings.

Owns every type and number that two rooms must agree on. Imports none of the other rooms, starts nothing, and
opens no connection; importing one module of it costs only what that module needs.
"""
