"""Models that answer in Label Studio's own JSON, so that every existing ML backend can be used."""
