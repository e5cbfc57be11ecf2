"""The review page's routes, put together."""

from __future__ import annotations

from fastapi import FastAPI

from ml_backend.services import Services
from ml_backend.web.access.guard import Guard
from ml_backend.web.access.permission import Access
from ml_backend.web.access.sessions import Sessions
from ml_backend.web.api.actions import actions_api
from ml_backend.web.api.batches import batches_api
from ml_backend.web.api.events import events_api
from ml_backend.web.api.overview import overview_api
from ml_backend.web.api.points import points_api
from ml_backend.web.api.projects import projects_api
from ml_backend.web.api.session import session_api
from ml_backend.web.api.similar import similar_api
from ml_backend.web.api.tasks import tasks_api
from ml_backend.web.api.views import views_api
from ml_backend.web.projects import Projects
from ml_backend.web.static_page import static_page
from ml_backend.web.threads import Threads
from ml_backend.web.thumbnails import Thumbnails

__all__ = ["add_page"]


def add_page(app: FastAPI, services: Services, access: Access) -> None:
    """Give an application the review page and its interface.

    Args:
        app: the application.
        services: this process' parts.
        access: who says which project a caller may read or change.
    """
    connection = services.mailbox.redis
    sessions, threads, projects = Sessions(connection), Threads(), Projects(services)
    thumbnails = Thumbnails(lambda: services.media, services.settings)
    url = services.settings.people_url
    app.include_router(session_api(sessions, access, url))
    app.include_router(projects_api(projects, access, threads))
    app.include_router(points_api(projects, access, threads))
    app.include_router(tasks_api(projects, access, threads, thumbnails))
    app.include_router(similar_api(projects, access, threads))
    app.include_router(overview_api(projects, access, threads))
    app.include_router(actions_api(projects, access, threads))
    app.include_router(batches_api(projects, access, threads))
    app.include_router(events_api(services, access, threads))
    app.include_router(views_api(connection, access, threads))
    app.include_router(static_page())
    app.add_middleware(Guard, sessions=sessions)
