"""What ties the library to FiftyOne; the only part that knows it."""
