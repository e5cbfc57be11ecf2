"""The web server: Label Studio's ML backend protocol, and who may ask what."""
