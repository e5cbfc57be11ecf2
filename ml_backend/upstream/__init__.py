"""Models that answer in Label Studio's own JSON, so that every existing ML backend can be used."""

from ml_backend.upstream.registry import Upstreams

__all__ = ["Upstreams"]
