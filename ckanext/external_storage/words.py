"""What a page or an action says of an error, in the language of whoever is told.

The modules that move bytes know no language: their texts are English, for programs and logs. Here are those
that a publisher meets in a form or at a download; all others stay as they are.
"""

from __future__ import annotations

import ckantoolkit as tk

from ckanext.external_storage import errors


def said(error: errors.StorageError) -> str:
    """The sentence for people."""
    if isinstance(error, errors.FileTooLarge):
        # Also a text of the upload field.
        text = tk._("The file has %(size)s; this site takes files of up to %(most)s. Choose a smaller one.")
        return text % {
            "size": tk.h.localised_filesize(error.size),
            "most": tk.h.localised_filesize(int(error.limit)),
        }
    if isinstance(error, errors.TypeRefused):
        text = tk._("This site does not take files whose names end in .{ending}. Nothing was stored.")
        return text.format(ending=error.ending)
    if isinstance(error, errors.QuotaExceeded):
        text = tk._(
            "The organization may keep {limit} in the file store; {used} are used or promised to uploads"
            " under way, and {needed} more are needed. Nothing was stored. Discard unfinished uploads, remove"
            " files, or ask the site's administrator for a higher quota."
        )
        amounts = {"limit": error.limit, "used": error.used, "needed": error.needed}
        return text.format(**{name: tk.h.localised_filesize(size) for name, size in amounts.items()})
    # Its own class: what the subclasses say is for administrators.
    fixed = {
        errors.StoreFull: tk._(
            "The file store is full, and the file is not complete. Tell the site's administrator."
        ),
        errors.StoreUnavailable: tk._(
            "The file store cannot be reached. Nothing was changed; try again later."
        ),
    }
    return fixed.get(type(error)) or str(error)


def too_large_for_a_form(size: int, most: int) -> str:
    """Both in bytes."""
    text = tk._(
        "The file has {size}, more than the {most} that a form may carry: the smaller one of"
        " ckan.max_resource_size and ckanext.external_storage.max_upload_size."
    )
    return text.format(size=tk.h.localised_filesize(size), most=tk.h.localised_filesize(most))
