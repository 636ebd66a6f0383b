"""Labelled clips in the formats of other tools: ``via`` the conversion, ``via_files`` what goes down to a person and comes back."""
