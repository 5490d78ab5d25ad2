"""What drivers share, all of it pure: columns, quality, block plan, decoding, pace, framing, contract."""
