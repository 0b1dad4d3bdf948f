"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import plugins
from ckan.exceptions import CkanConfigurationException
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ckanext.authz_service import verifying
from ckanext.authz_service.interfaces import IAuthorizationBindings
from ckanext.external_storage import NAMES, bindings, config, form_spool, new_datasets, views
from ckanext.external_storage.lfs.app import LfsApplication
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.transfer import quota


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.cli
@tk.blanket.config_declarations
@tk.blanket.helpers
class ExternalStoragePlugin(plugins.SingletonPlugin):
    plugins.implements(plugins.IConfigurer)
    plugins.implements(plugins.IConfigurable)
    plugins.implements(IAuthorizationBindings)
    authz_bindings_are_defaults = True
    plugins.implements(plugins.IBlueprint)
    plugins.implements(plugins.IMiddleware, inherit=True)
    # Its presence makes core's form offer files. It handles none: core would call it while the dataset is
    # locked; what comes with a save is taken in before that, by our actions.
    plugins.implements(plugins.IUploader, inherit=True)

    def update_config(self, config: Any) -> None:
        if set(NAMES) <= set(tk.aslist(config["ckan.plugins"])):
            raise CkanConfigurationException(
                f"ckan.plugins has {' and '.join(NAMES)}, two names of the same plugin. Remove {NAMES[1]}."
            )
        tk.add_template_directory(config, "templates")
        new_datasets.start()

    def configure(self, _config: Any) -> None:
        config.quota(), config.gc_grace()  # a wrong value is refused now, not when somebody uploads
        quota.Site.default_limit = staticmethod(config.quota)

    def register_authz_bindings(self, authorizer: Any) -> None:
        bindings.register(authorizer)

    def get_blueprint(self) -> Any:
        return views.blueprint

    def make_middleware(self, app: Any, config: Any) -> Any:
        views.serve_downloads(views.application())
        form_spool.read_first(views.application())
        mounts = {"/lfs": _lfs_application()}
        if isinstance(app, Flask):
            app.wsgi_app = DispatcherMiddleware(form_spool.RefusingWithoutRoom(app.wsgi_app), mounts)
            return app
        # Another plugin has put something of its own around Flask: then so do we.
        return DispatcherMiddleware(form_spool.RefusingWithoutRoom(app), mounts)


def _lfs_application() -> LfsApplication:
    return LfsApplication(
        Settings(
            url=config.lfs_url(),
            namespace=config.namespace(),
            engine=config.engine,
            store=config.store,
            secret=config.capability_secret,
            verify_token=verifying.lfs_token,
            cors_origins=config.cors_origins(),
            metrics_token_file=config.metrics_token_file(),
        )
    )
