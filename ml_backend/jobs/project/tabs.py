"""The review tabs of a project: made by its runs, and as its settings come to ask for more."""

from __future__ import annotations

from ml_backend.labelstudio.tasks.reader import Project, read_project
from ml_backend.labelstudio.views import QUEUE, ensure_tabs, review_tabs
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings

__all__ = ["keep_new_tabs", "keep_tabs"]


def keep_tabs(
    services: Services, project: Project, settings: ProjectSettings, *, again: bool
) -> dict[str, int]:
    """Make the review tabs, or bring them up to date; return name to id.

    Args:
        services: this process' parts.
        project: the project.
        settings: its settings.
        again: whether one that somebody deleted is made again.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    mailbox = services.mailbox
    with mailbox.lock(project.id, "tab"):
        tabs = ensure_tabs(
            services.client,
            project.id,
            review_tabs(settings.queue_tab, settings.kind_tabs),
            settings.field_prefix,
            data_keys=project.config.data_keys,
            known=mailbox.tabs_of(project.id),
            again=again,
        )
        mailbox.remember_tabs(project.id, tabs)
    return tabs


def keep_new_tabs(services: Services, project: int) -> None:
    """Make the tabs that the settings have come to ask for since a run made the first ones.

    Raises:
        SettingsError: when the project's settings are wrong.
        ConfigError: when its labelling config cannot be served.
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    settings, known = services.mailbox.settings_of(project), services.mailbox.tabs_of(project)
    wanted = review_tabs(settings.queue_tab, settings.kind_tabs)
    if QUEUE in known and not all(tab.name in known for tab in wanted):
        keep_tabs(services, read_project(services.client, project), settings, again=False)
