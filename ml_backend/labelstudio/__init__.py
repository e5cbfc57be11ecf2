"""The gateway: the only code that knows Label Studio's JSON, API and traps."""
