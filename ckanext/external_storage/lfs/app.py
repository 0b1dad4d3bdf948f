"""The WSGI application: its routes, and errors as answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import cors, echo, health, metrics, objects, offers, tus, upload_routes
from ckanext.external_storage.lfs.messages import answer
from ckanext.external_storage.lfs.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

#: Of nested organisations the last one counts.
_DATASET = "/<path:organization>/<dataset>"
_REPOSITORY = f"{_DATASET}.git/info/lfs"
_OBJECTS = f"{_REPOSITORY}/objects"
#: An endpoint is the function that answers: ``(settings, request, **parts of the path) → Response``.
ROUTES = Map(
    [
        Rule("/check", endpoint=echo.put, methods=["PUT"]),
        Rule(f"{_OBJECTS}/batch", endpoint=offers.batch_objects, methods=["POST"]),
        Rule(f"{_DATASET}/objects/batch", endpoint=offers.batch_objects, methods=["POST"]),  # older clients
        Rule(f"{_OBJECTS}/verify", endpoint=objects.verify, methods=["POST"]),
        Rule(f"{_OBJECTS}/<oid>", endpoint=objects.put, methods=["PUT"]),
        Rule(f"{_OBJECTS}/<oid>", endpoint=objects.get, methods=["GET"]),
        Rule(f"{_REPOSITORY}/locks", endpoint=objects.no_locks),
        Rule(f"{_REPOSITORY}/locks/<path:rest>", endpoint=objects.no_locks),
        Rule("/health", endpoint=health.health, methods=["GET"]),
        Rule("/metrics", endpoint=metrics.show, methods=["GET"]),
        Rule(f"{_DATASET}.git/uploads", endpoint=upload_routes.begin, methods=["POST"]),
        Rule("/uploads/<upload_id>", endpoint=upload_routes.show, methods=["GET"]),
        Rule("/uploads/<upload_id>", endpoint=upload_routes.discard, methods=["DELETE"]),
        Rule("/uploads/<upload_id>/parts", endpoint=upload_routes.sign_parts, methods=["POST"]),
        Rule("/uploads/<upload_id>/complete", endpoint=upload_routes.complete, methods=["POST"]),
        Rule(
            "/uploads/<upload_id>/tus",
            endpoint=tus.tus,
            methods=["HEAD", "PATCH", "DELETE", "OPTIONS", "POST"],
        ),
    ]
)


class LfsApplication:
    """Git LFS below its mount point; reads the ``Authorization`` header only, never cookies."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        request = Request(environ)
        response, route = self._respond(request)
        cors.tell(request, response, self.settings.cors_origins)
        metrics.watch(request, response, route, started)
        return response(environ, start_response)

    def _respond(self, request: Request) -> tuple[Response, str]:
        """The answer, and the rule of the address that was asked for."""
        route = "none"
        try:
            asked = cors.preflight(request, self.settings.cors_origins)
            if asked:
                return asked, "preflight"
            rule, arguments = ROUTES.bind_to_environ(request.environ).match(return_rule=True)
            route = rule.rule
            settings = self.settings
            if settings.forwarded:
                settings = replace(settings, url=request.root_url.rstrip("/"))
            return rule.endpoint(settings, request, **arguments), route
        except HTTPException as error:
            message = "No such address here." if error.code == 404 else error.description or error.name
            response = answer({"message": message}, error.code or 500)
            response.headers.extend([h for h in error.get_headers() if h[0] == "Allow"])
        except errors.StorageError as error:
            if error.status >= 500:
                log.error("%s: %s", type(error).__name__, error, exc_info=error.__cause__)
            response = answer({"message": str(error), "code": error.code}, error.status)
            response.headers.update(error.headers)
            if error.status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
                # git-lfs asks its credential helpers then. Under the name above, browsers would ask for a
                # password in the middle of a page (git-lfs docs/api/authentication.md).
                response.headers["LFS-Authenticate"] = 'Basic realm="Git LFS"'
        except Exception as error:
            log.exception("%s %s", request.method, route)
            status = 500
            message = "The server failed, and its log says why. Try again, or tell the administrator."
            if _database_is_away(error):  # perhaps since its COMMIT, which may have been done
                status = 503
                message = "The site's database cannot be reached. It may have done this or not: try again."
            response = answer({"message": message}, status)
        return response, route


def _database_is_away(error: Exception) -> bool:
    return isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
