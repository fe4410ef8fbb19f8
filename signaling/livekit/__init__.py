"""LiveKit's signalling protocol as an adapter over the neutral room: no protobuf below it."""
