"""The one place where this plugin's errors become CKAN's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import ckantoolkit as tk

from ckanext.versioning import errors

P = ParamSpec("P")
T = TypeVar("T")


def as_ckan_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Let an action answer 404 for a revision that is not there, 409 for what the caller can correct."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (errors.RevisionNotFound, errors.ReleaseNotFound) as error:
            raise tk.ObjectNotFound(str(error)) from error
        except (
            errors.InvalidReleaseName,
            errors.NoReleaseNumber,
            errors.ReleaseExists,
            errors.ReleaseNameUsed,
            errors.ReleaseRenamed,
        ) as error:
            raise tk.ValidationError({"name": [str(error)]}) from error
        except errors.MessageRequired as error:
            raise tk.ValidationError({"version_message": [str(error)]}) from error
        except (errors.InvalidRef, errors.AmbiguousRef, errors.NotCurrent) as error:
            raise tk.ValidationError({"revision_ref": [str(error)]}) from error
        except errors.NotNewest as error:
            answer: Any = {"base_revision": [str(error)], "head": error.head}
            raise tk.ValidationError(answer, {"base_revision": str(error)}) from error
        except errors.InvalidCursor as error:
            raise tk.ValidationError({"cursor": [str(error)]}) from error
        except (errors.UnknownPart, errors.FileNotKept) as error:
            raise tk.ValidationError({"parts": [str(error)]}) from error

    return wrapper
