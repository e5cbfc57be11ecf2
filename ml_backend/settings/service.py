"""What the owner of the machine sets, by environment variables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ml_backend.errors import SettingsError
from ml_backend.settings.refusal import refusal

__all__ = ["ServiceSettings", "misspelt", "service_settings", "variable"]


#: Of a password, and of the different characters in it.
_SHORTEST: Final = 16
_FEWEST: Final = 5
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]*)?")


def _address(said: str) -> str:
    if said and not re.fullmatch(r"https?://[^\s@/][^\s@]*", said):
        raise ValueError(
            "RELOOK_URL must be an address such as http://relook.example:9090, without a user"
        )
    return said


def _hard_to_guess(said: SecretStr) -> SecretStr:
    secret = said.get_secret_value()
    if len(secret) < _SHORTEST or len(set(secret)) < _FEWEST:
        raise ValueError(
            f"RELOOK_BASIC_AUTH_PASS must have at least {_SHORTEST} characters, {_FEWEST} "
            "different ones among them, such as `openssl rand -hex 24` makes it"
        )
    return said


def _listed(said: Any) -> Any:
    if not isinstance(said, str):
        return said
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return [part.strip() for part in said.split(",") if part.strip()]


def _host(said: str) -> str:
    try:
        # It says which ports and addresses there are.
        known = _HOST.fullmatch(said) is not None and urlsplit(f"//{said}").port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            "a host is written as host or host:port, such as images.example.com or [fd00::7]:9000, "
            "without http:// and without a path"
        )
    return said


_Host = Annotated[str, AfterValidator(_host)]
_Class = Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$")]
# By commas or as JSON: pydantic itself would take JSON alone, and fail without naming the mend.
_Hosts = Annotated[tuple[_Host, ...], NoDecode, BeforeValidator(_listed)]
_Classes = Annotated[tuple[_Class, ...], NoDecode, BeforeValidator(_listed)]


class ServiceSettings(BaseSettings):
    """What the owner of the machine sets, by environment variables."""

    model_config = SettingsConfigDict(
        env_prefix="RELOOK_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    label_studio_url: str = Field(
        "",
        validation_alias=AliasChoices("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST"),
        description="Address of Label Studio, as this machine reaches it.",
    )
    label_studio_public_url: str = Field(
        "",
        validation_alias="LABEL_STUDIO_PUBLIC_URL",
        description="Address of Label Studio in links, as people's browsers reach it. Empty: "
        "LABEL_STUDIO_URL.",
    )
    label_studio_api_key: SecretStr | None = Field(
        None,
        validation_alias="LABEL_STUDIO_API_KEY",
        description="Personal access token of the Label Studio user that Relook acts as; for "
        "commands such as `relook analyze`, of the user who types them.",
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("RELOOK_REDIS_URL", "REDIS_URL"),
        description="Address of Redis, also as `REDIS_URL`. Empty: `relook start` runs a Redis of "
        "its own.",
    )
    data_dir: Path = Field(
        Path(".relook"),
        description="Folder of what can be computed or fetched again: predictions, images, "
        "official weights; and of the Redis of `relook start`, which holds more "
        "(docs/operations.md, Backup).",
    )
    store: str = Field(
        "",
        description="Where predictions, labels and scores are kept: a folder, also a shared one, "
        "or an address such as s3://bucket/folder. Empty: below the data folder.",
    )
    model_dir: Path = Field(
        Path("models"), description="The one folder that model files are loaded from."
    )
    model: str = Field("", description="Model used where neither project nor tag names one.")
    host: str = Field("127.0.0.1", description="Address that the backend listens on.")
    port: int = Field(9090, ge=0, le=65535, description="Port that the backend listens on.")
    url: Annotated[str, AfterValidator(_address)] = Field(
        "",
        description="Address of the backend, as commands such as `relook analyze` reach it. "
        "Empty: on this machine, at RELOOK_PORT.",
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda said: said.upper())
    ] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR: this is logged, and what is worse."
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Proxies that are believed who asks and whether by HTTPS (X-Forwarded-For, "
        "X-Forwarded-Proto): addresses or networks, parted by commas.",
    )
    basic_auth_user: str = Field(
        "",
        pattern=r"^[^:]*$",
        description="User that Label Studio signs in as, as in the model connection's Basic auth. "
        "Empty: whoever reaches the port is let in.",
    )
    basic_auth_pass: Annotated[SecretStr, AfterValidator(_hard_to_guess)] | None = Field(
        None,
        description="Its password, at least 16 characters, 5 different ones among them, so that "
        "nobody guesses it.",
    )
    body_max_mb: int = Field(128, ge=1, description="Largest request body, in MiB.")
    media_hosts: _Hosts = Field(
        (),
        description="Hosts besides Label Studio that images may be fetched from, as host or "
        "host:port, parted by commas or as a JSON list; also a storage on this machine.",
    )
    model_hosts: _Hosts = Field(
        (),
        description="Other ML backends that may be asked, as host or host:port, parted by commas "
        "or as a JSON list.",
    )
    model_classes: _Classes = Field(
        (),
        description="Model classes that may be run, as package.module:Class, parted by commas or "
        "as a JSON list.",
    )
    image_max_mb: int = Field(64, ge=1, description="Largest image file that is read, in MiB.")
    image_max_megapixels: int = Field(200, ge=1, description="Largest image that is decoded.")
    worker_max_jobs: int = Field(
        1000, ge=0, description="Jobs after which a worker starts afresh; 0: never."
    )
    worker_max_mb: int = Field(
        0, ge=0, description="Memory above which a worker starts afresh, in MiB; 0: never."
    )
    reconcile_s: int = Field(
        600, ge=10, description="Seconds between two searches for events that never arrived."
    )
    image_cache_mb: int = Field(
        2048, ge=0, description="Disk for files fetched before, in MiB; 0: none."
    )
    threads: int = Field(0, ge=0, description="CPU threads of the model; 0: one per core.")
    model_memory_mb: int = Field(
        4096, ge=1, description="Memory that loaded models may take together, in MiB."
    )
    downloads: bool = Field(
        False, description="Whether official weights may be downloaded when a project names them."
    )

    @model_validator(mode="after")
    def _user_and_password(self) -> Self:
        if bool(self.basic_auth_user) != (self.basic_auth_pass is not None):
            raise ValueError(
                "RELOOK_BASIC_AUTH_USER and RELOOK_BASIC_AUTH_PASS go together: set both or none"
            )
        return self

    @property
    def people_url(self) -> str:
        """Where people find Label Studio, for links."""
        return (self.label_studio_public_url or self.label_studio_url).rstrip("/")

    @property
    def local_url(self) -> str:
        """Where the backend is found on its own machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def backend_url(self) -> str:
        """Where commands find the backend."""
        return self.url.rstrip("/") or self.local_url

    @property
    def store_location(self) -> str:
        """Where the store lies: a folder's path or an address of object storage."""
        return self.store or str(self.data_dir.resolve() / "store")

    def environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings, secrets included."""
        return {
            variable(name): _as_text(getattr(self, name))
            for name in type(self).model_fields
            if getattr(self, name) is not None
        }


@cache
def service_settings() -> ServiceSettings:
    """Read the environment, once per process.

    Raises:
        SettingsError: naming each variable that is wrong.
    """
    try:
        return ServiceSettings()
    except ValidationError as error:
        raise SettingsError(refusal("RELOOK_ settings", error, ServiceSettings, _SECRET)) from error


def variable(name: str) -> str:
    """Return the environment variable of one of the service's settings."""
    alias = ServiceSettings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias or f"RELOOK_{name.upper()}")


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that look like ours and are none, with the one that may be meant."""
    ours = [variable(name) for name in ServiceSettings.model_fields]
    others = [name for name in environment if name.startswith("RELOOK_") and name not in ours]
    return {name: next(iter(get_close_matches(name, ours, 1)), "") for name in sorted(others)}


#: Whose values are not said, however wrong they are.
_SECRET: Final = {
    known
    for name in (
        *("label_studio_api_key", "redis_url", "basic_auth_pass"),
        # Somebody may write an address with a password there.
        *("url", "media_hosts", "model_hosts"),
    )
    for known in (name, variable(name), "REDIS_URL")
}


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.resolve())
    return value if isinstance(value, str) else json.dumps(value)
