"""The bench: plant, PLCs, cameras and brokers that misbehave on command, and the judge of it all."""
