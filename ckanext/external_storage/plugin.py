"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

import logging
from typing import Any

import ckantoolkit as tk
from ckan import plugins
from ckan.exceptions import CkanConfigurationException
from flask import Flask

from ckanext.authz_service import verifying
from ckanext.authz_service.interfaces import IAuthorizationBindings
from ckanext.authz_service.translated import Translated
from ckanext.external_storage import (
    NAMES,
    asking_ckan,
    bindings,
    checks,
    config,
    form_spool,
    jobs,
    new_datasets,
    views,
)
from ckanext.external_storage.lfs.app import LfsApplication
from ckanext.external_storage.lfs.mounting import mounted
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.transfer import quota

log = logging.getLogger(__name__)


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.cli
@tk.blanket.config_declarations
@tk.blanket.helpers
@tk.blanket.validators
class ExternalStoragePlugin(plugins.SingletonPlugin, Translated):
    plugins.implements(plugins.ITranslation)
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
        tk.add_public_directory(config, "assets/public")
        tk.add_resource("assets", "external_storage")
        new_datasets.start()

    def configure(self, _config: Any) -> None:
        try:  # a wrong value is refused now, not when somebody uploads
            config.quota()
            config.gc_grace()
            config.upload_limits()
            config.inline_types()
            config.check_storage_service_url()
            config.hash_first_max()
        except ValueError as error:
            raise CkanConfigurationException(str(error)) from None
        quota.set_default(config.quota)

    def register_authz_bindings(self, authorizer: Any) -> None:
        bindings.register(authorizer)

    def get_blueprint(self) -> Any:
        return views.blueprint

    def make_middleware(self, app: Any, config: Any) -> Any:
        flask_app = views.application()
        views.serve_downloads(flask_app)
        for problem in checks.at_start():
            log.warning("%s (ckan external-storage check says more)", problem)
        form_spool.read_first(flask_app)
        lfs = _lfs_application(flask_app)
        if isinstance(app, Flask):
            app.wsgi_app = mounted(form_spool.RefusingWithoutRoom(app.wsgi_app), lfs)
            return app
        # Another plugin has put something of its own around Flask: then so do we.
        return mounted(form_spool.RefusingWithoutRoom(app), lfs)


def _lfs_application(app: Flask) -> LfsApplication:
    return LfsApplication(
        Settings(
            url=config.lfs_url(),
            namespace=config.namespace(),
            engine=config.engine,
            store=config.store,
            believe_server=lambda: not config.verify_external(),
            secret=config.capability_secret,
            read_token=verifying.signed_lfs_token,
            cors_origins=config.cors_origins(),
            metrics_token_file=config.metrics_token_file(),
            limits=config.upload_limits,
            check_later=jobs.check_later,
            checker_alive=jobs.worker_alive,
            site=asking_ckan.AskingCkan(app),
        )
    )
