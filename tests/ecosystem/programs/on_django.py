"""A Django project in one file: plain and async views over one SQLite database, for wsgiref and for uvicorn."""

from __future__ import annotations

import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections
from django.http import HttpRequest, JsonResponse
from django.urls import path

from gllm_core.concurrency import asyncify, syncify

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    USE_TZ=True,
)
django.setup()


def add(word: str) -> list[str]:
    """Blocking use of the database, as Django means it: on a thread without a loop."""
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists words (word text)")
        cursor.execute("insert into words values (%s)", [word])
        cursor.execute("select word from words")
        return [row[0] for row in cursor]


@asyncify
def add_and_close(word: str) -> list[str]:
    """Django closes the connection of the thread that answers; that of a worker thread is its user's to close."""
    try:
        return add(word)
    finally:
        connections.close_all()


@syncify
async def upper(word: str) -> str:
    return await asyncify(str.upper)(word) + " on " + threading.current_thread().name


def plain(request: HttpRequest) -> JsonResponse:
    """A plain view calls async code, and uses the database itself."""
    return JsonResponse([upper("plain"), add("plain")], safe=False)


async def asynchronous(request: HttpRequest) -> JsonResponse:
    """An async view awaits blocking code, the database among it."""
    return JsonResponse([await asyncify(str.upper)("async"), await add_and_close("async")], safe=False)


urlpatterns = [path("plain", plain), path("async", asynchronous)]


class Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        print("port", server.server_port, flush=True)
        for _ in range(int(sys.argv[1])):
            server.handle_request()
else:
    app = get_asgi_application()
