"""The chapters: one folder each, with its stages, figures, captions, stored variables and section of the configuration.

A folder here with a ``chapter.py`` is a chapter of every study; nothing else has to be told of it.
"""
