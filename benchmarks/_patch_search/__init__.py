"""Full patch search: what the engines take, and what they miss."""
