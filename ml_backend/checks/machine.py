"""What is Relook's own: Redis, the store, the model folder, the GPU, the backend."""

from __future__ import annotations

import secrets
from typing import Final

import httpx
import numpy as np

from ml_backend import __version__
from ml_backend.checks.finding import Findings
from ml_backend.errors import SettingsError, short
from ml_backend.jobs.queues.mailbox import living_workers, open_redis
from ml_backend.predictors import files
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from ml_backend.web.numbers import NO_PROJECT

__all__ = [
    "check_backend",
    "check_gpu",
    "check_models",
    "check_redis",
    "check_store",
    "check_workers",
]

_TIMEOUT_S: Final = 5.0
#: Models that are told by name.
_NAMED: Final = 5


def check_redis(found: Findings, settings: ServiceSettings) -> bool:
    """Write to Redis and read it back; return whether the rest can be asked."""
    with found.of("Redis"):
        connection = open_redis(settings, patient=False)
        key, value = f"relook:doctor:{secrets.token_hex(4)}", secrets.token_hex(4)
        try:
            connection.set(key, value, ex=10)
            kept = connection.get(key)
            connection.delete(key)
        except Exception as error:
            raise SettingsError(
                f"Redis does not answer ({error}); see that it runs and that REDIS_URL is right"
            ) from error
        version = str(connection.info("server")["redis_version"])
        well = kept == value.encode()
        found.add("Redis", well, f"version {version}" if well else "does not keep what is written")
        return well
    return False


def check_workers(found: Findings, services: Services) -> None:
    """See that somebody takes jobs."""
    with found.of("workers"):
        count = living_workers(services.mailbox.redis)
        said = f"{count} at work" if count else "none takes jobs: start `relook worker`"
        found.add("workers", count > 0, said)


def check_store(found: Findings, services: Services) -> None:
    """Write to the store and read it back."""
    where = services.settings.store_location
    with found.of("store"):
        said = np.frombuffer(secrets.token_bytes(8), dtype=np.uint8)
        try:
            services.store.put_arrays(NO_PROJECT, "doctor", {"said": said})
            kept = services.store.get_arrays(NO_PROJECT, "doctor")
        except Exception as error:
            raise SettingsError(
                f"{where} cannot be written ({short(error)}); give this user "
                "the right to write there, or name another place in RELOOK_STORE"
            ) from error
        well = kept is not None and (kept["said"] == said).all()
        found.add("store", bool(well), where if well else f"{where} does not keep what is written")


def check_models(found: Findings, settings: ServiceSettings) -> None:
    """See what the model folder holds."""
    folder = settings.model_dir.resolve()
    there = files.models(folder) if folder.is_dir() else []
    if there:
        more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        found.add("model folder", True, f"{folder} holds {', '.join(there[:_NAMED])}{more}")
    else:
        mend = "put a model there, or name another folder in RELOOK_MODEL_DIR"
        found.add("model folder", None, f"{folder} holds no model; {mend}")


def check_gpu(found: Findings) -> None:
    """See what models run on; a machine without a GPU is well."""
    import torch  # noqa: PLC0415 - takes seconds

    if not torch.cuda.is_available():
        found.add("GPU", None, "none that PyTorch can use: models run on the CPU")
        return
    with found.of("GPU"):
        # Drivers that do not fit fail on use only.
        total = float(torch.ones(8, device="cuda").sum().cpu())
        found.add("GPU", total == 8, f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")


def check_backend(found: Findings, settings: ServiceSettings) -> None:
    """Ask the backend where this machine's commands find it."""
    url = settings.backend_url
    try:
        said = httpx.get(f"{url}/health", timeout=_TIMEOUT_S).json()
        version = said["version"] if said.get("model_class") == "Relook" else ""
    except (httpx.HTTPError, ValueError, AttributeError, KeyError) as error:
        mend = "start it with `relook serve` or `relook start`, or see its log"
        found.add("backend", False, f"{url} does not answer ({type(error).__name__}); {mend}")
        return
    if not version:
        said = f"something else answers at {url}; give Relook another RELOOK_PORT"
        found.add("backend", False, said)
    elif version != __version__:
        said = f"{url} is version {version}, this is {__version__}; start it again"
        found.add("backend", False, said)
    else:
        found.add("backend", True, f"{url}, version {version}")
