"""What the demos and the tests run against: films of our own making and a web server that plays dead links."""
