"""Detection of people in frames: one interface, several backends."""
