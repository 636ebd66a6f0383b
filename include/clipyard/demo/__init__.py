"""What the demo and the tests run against: source videos of our own making and a web server that plays dead links."""
