"""Django under ASGI: it has no lifespan of its own, so a wrapper of a few lines answers for it.

Under WSGI there is no event loop that lives on: use a portal, as `celery_worker` does.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from timeback_async import Config, TimebackSession

from ._student import student_of

App = Callable[[Any, Any, Any], Awaitable[None]]


def with_timeback(app: App) -> App:
    """Open a session when the server starts, and close it when the server stops."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()  # lifespan.startup
        async with TimebackSession(Config.from_env()) as timeback:
            scope["state"]["timeback"] = timeback  # the server copies it into each request's scope
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped


async def put_student(request: HttpRequest, sourced_id: str) -> HttpResponse:
    timeback = request.scope["state"]["timeback"]
    await timeback.upsert_student(student_of(sourced_id), deadline=10)
    return HttpResponse(status=204)


urlpatterns = [path("students/<sourced_id>", put_student)]

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="only for this recipe", ALLOWED_HOSTS=["*"])
django.setup()
app = with_timeback(get_asgi_application())
