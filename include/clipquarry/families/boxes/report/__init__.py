"""Report section of labelled person boxes."""
