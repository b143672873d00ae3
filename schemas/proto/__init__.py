"""The minion protocol: relay.proto, and the message classes made from it (relay_pb2); no service stubs."""
