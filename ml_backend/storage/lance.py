"""LanceDB, without the client of a service that nothing here asks."""

import importlib.util
import sys

__all__ = ["lancedb"]

# LanceDB imports models of that client, whose package first builds checks for each of its calls:
# two fifths of the seconds that LanceDB takes to import. Left unrun, the package has its models.
_CLIENT = "lance_namespace_urllib3_client"
if _CLIENT not in sys.modules and (_spec := importlib.util.find_spec(_CLIENT)) is not None:
    sys.modules[_CLIENT] = importlib.util.module_from_spec(_spec)

import lancedb  # noqa: E402 - after what it would import
