"""Background jobs on Apache Kafka: what users import. The composition root; it must stay cheap to import."""
