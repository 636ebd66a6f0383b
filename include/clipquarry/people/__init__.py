"""Where people are in a picture. One interface, several backends."""
