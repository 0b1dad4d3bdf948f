from __future__ import annotations

import os

import pytest

from services import postgres


@pytest.fixture
def cluster(tmp_path):
    path = tmp_path / "cluster"
    path.mkdir()
    return path


def lock(cluster, pid: int):
    path = cluster / "postmaster.pid"
    path.write_text(f"{pid}\n{cluster}\n")
    return path


def test_a_lock_whose_number_another_process_has_now_is_dropped(cluster):
    path = lock(cluster, os.getpid())
    postgres._forget_stale_lock(cluster)
    assert not path.exists()


def test_a_lock_of_a_process_that_is_gone_is_dropped(cluster):
    path = lock(cluster, 4194304 + 1)
    postgres._forget_stale_lock(cluster)
    assert not path.exists()


def test_the_lock_of_the_server_itself_stays(cluster, monkeypatch):
    monkeypatch.chdir(cluster)  # as PostgreSQL does
    path = lock(cluster, os.getpid())
    postgres._forget_stale_lock(cluster)
    assert path.exists()


class TestWhereTheClusterLies:
    @pytest.fixture
    def run_directory(self, tmp_path, monkeypatch):
        """A ``.run`` in a place that others may pass through."""
        directory = tmp_path / "checkout" / ".run"
        directory.mkdir(parents=True)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.owner() == "root" and parent.name.startswith("pytest-"):
                parent.chmod(0o711)
        monkeypatch.setattr(postgres, "ROOT", directory.parent)
        monkeypatch.setattr(postgres, "RUN", directory)
        monkeypatch.setattr(postgres, "LINK", directory / "postgres")
        yield directory
        postgres.remove()

    def test_in_the_checkout_of_an_ordinary_user(self, run_directory):
        assert postgres._home(None) == run_directory / "postgres"
        assert postgres._home(None) == run_directory / "postgres"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
    def test_elsewhere_when_roots_checkout_is_closed_to_the_server(self, run_directory):
        user = postgres.user()
        run_directory.parent.chmod(0o700)
        home = postgres._home(user)
        assert home == postgres._outside()
        assert home.owner() == user
        assert home.stat().st_mode & 0o777 == 0o700
        assert (run_directory / "postgres").resolve() == home
        postgres.remove()
        assert not home.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
    def test_not_where_somebody_else_was_first(self, run_directory):
        run_directory.parent.chmod(0o700)
        outside = postgres._outside()
        outside.mkdir()
        try:
            os.chown(outside, 65534, 65534)
            with pytest.raises(postgres.Failure, match="belongs to the user nobody"):
                postgres._home(postgres.user())
        finally:
            outside.rmdir()
