"""Search of one vector per image: our path, and FiftyOne's backends."""
