"""Labelling projects on disk: clips with boxed people, and what people say about them, of which nothing is ever lost.

``model`` has the plain form of a clip, ``operations`` what an annotator may do, ``state`` how operations merge, ``journal``
how they are kept, ``project`` the folder, ``renewal`` what becomes of it when its clips change, ``seats`` who labels what, ``agreement`` and ``adjudication`` two people's work.
"""
