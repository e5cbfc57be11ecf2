"""The demo: a real Label Studio, sample projects with planted label errors, and Relook on them."""
