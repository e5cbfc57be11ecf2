"""relook doctor: the whole chain, looked at link by link."""

from __future__ import annotations

import logging
import os
from typing import Annotated, Final

import typer

from ml_backend.checks.finding import Finding, Findings
from ml_backend.settings import misspelt, service_settings

__all__ = ["doctor"]

_WORDS: Final = {True: "ok", False: "FAILS", None: "note"}


def doctor(
    address: Annotated[
        str,
        typer.Option(
            help="Relook's address as Label Studio reaches it: tried with a project that is made "
            "for it and deleted again."
        ),
    ] = "",
    project: Annotated[
        list[int] | None, typer.Option(help="Only this project; may be repeated.")
    ] = None,
) -> None:
    """Look at every link between Label Studio and the model, and say the mend of what is broken."""
    from ml_backend.checks.labelstudio import (  # noqa: PLC0415 - keeps `--help` fast
        check_address,
        check_label_studio,
        check_project,
        check_token,
    )
    from ml_backend.checks.machine import (  # noqa: PLC0415
        check_backend,
        check_gpu,
        check_models,
        check_redis,
        check_store,
        check_workers,
    )
    from ml_backend.services import Services  # noqa: PLC0415

    # What went wrong is said by the report.
    logging.getLogger().setLevel(logging.ERROR)
    settings = service_settings()
    services, found = Services(settings, patient=False), _Spoken()
    for name, meant in misspelt(os.environ).items():
        hint = f"; did you mean {meant}?" if meant else ""
        found.add("environment", None, f"{name} is no setting{hint}")
    known: list[int] = []
    signed_in = check_label_studio(found, settings) and check_token(found, services) is not None
    connected = check_redis(found, settings)
    if connected:
        check_workers(found, services)
        known = services.mailbox.projects()
    check_store(found, services)
    check_models(found, settings)
    check_gpu(found)
    check_backend(found, settings)
    if signed_in and connected:
        for one in project or known:
            check_project(found, services, one)
        if address:
            check_address(found, services, address)
        elif not known:
            found.add(
                "projects",
                None,
                "none is connected; `relook doctor --address http://...` tries the address that "
                "you will give to Label Studio",
            )
    raise typer.Exit(0 if found.well else 1)


class _Spoken(Findings):
    """Said as they are found: some take seconds."""

    def add(self, what: str, well: bool | None, said: str) -> None:
        """Say a line."""
        super().add(what, well, said)
        line: Finding = self.lines[-1]
        typer.echo(f"{_WORDS[line.well]:<6}{line.what}: {line.said}")
