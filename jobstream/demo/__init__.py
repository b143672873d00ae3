"""`jobstream demo`: a thousand real jobs on a real Kafka; much goes wrong on purpose, and nothing is lost."""
