"""Embedders: images, patches of images and texts as vectors; one file per kind of model."""
