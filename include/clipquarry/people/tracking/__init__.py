"""Persons followed through one clip: boxes of its frames in, the same boxes with ids out (:func:`~clipquarry.people.tracking.clip.track_clip`)."""
