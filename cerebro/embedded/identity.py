"""As whom PostgreSQL runs when we are root, which it refuses to be."""

import os
import pwd
import sys
from pathlib import Path
from typing import Final

from cerebro.embedded.child import Identity, run_to_end

PROBE: Final = ("-I", "-S", "-c", "")


async def choose_identity(log: Path) -> Identity:
    """Ourselves unless we are root; then a user namespace where the kernel grants one, else `nobody`.

    The namespace is preferred because files keep their owner: a data folder below a folder that only root may
    enter (as temporary folders of tests are) works, and nothing is left behind that root alone could not have made.
    """
    if os.geteuid() != 0:
        return "keep"
    probe = await run_to_end([sys.executable, *PROBE], log, identity="namespace")
    return "namespace" if probe == 0 else "nobody"


def give_to(identity: Identity, *paths: Path) -> None:
    """Make whoever `identity` is outside of its namespace the owner of `paths` and all below them.

    Nothing is done where the owner is right already. Raises PermissionError if `nobody` could not reach a path.
    """
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    user, group = (nobody.pw_uid, nobody.pw_gid) if identity == "nobody" else (0, 0)
    for path in paths:
        if identity == "nobody":
            require_reachable(path)
        if path.stat().st_uid != user:
            for entry in (path, *path.rglob("*")):
                os.chown(entry, user, group, follow_symlinks=False)


def require_reachable(path: Path) -> None:
    """Raise PermissionError if a folder above `path` can be entered by root only."""
    for folder in path.absolute().parents:
        if not folder.stat().st_mode & 0o001:
            raise PermissionError(
                f"PostgreSQL cannot run as root, this machine allows no user namespaces, and the user nobody may not enter {folder}: "
                "choose another --data folder, allow others to enter it (chmod o+x), or do not run as root"
            )
