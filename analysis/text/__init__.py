"""Spans of text: how they overlap and what a tagger says about them."""
