"""Run first in a child process, as a script: put the child on a leash, then become the program itself.

    python -I -S leash.py PARENT_PID DEATH_SIGNAL IDENTITY -- PROGRAM [ARGUMENT...]

It stands in front of the program instead of in a `preexec_fn`, because Python code between fork and exec may
deadlock in a process that has threads. The process id stays the same, so the program is a direct child.

Leash: on Linux the kernel sends DEATH_SIGNAL when the parent dies, `kill -9` included (`prctl(2)`,
PR_SET_PDEATHSIG). Elsewhere nothing is sent; the next start ends what is left.

IDENTITY is `keep`, or for a program that refuses to run as root:
- `namespace`: a user namespace in which the same user has the id of `nobody`. Outside it remains the owner of its
  files, so nothing changes hands and folders that only root may enter can be entered (`user_namespaces(7)`).
- `nobody`: give up root for good, for kernels and containers that forbid user namespaces.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
STATUS_CANNOT_START = 127


def system_call(name: str, *arguments: int) -> None:
    """Call a C library function that returns 0 for success; raises OSError with its errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter_namespace(user: int, group: int) -> None:
    """Become `user`:`group` in a new user namespace that maps them to who we are outside."""
    outer_user, outer_group = os.geteuid(), os.getegid()
    system_call("unshare", CLONE_NEWUSER)
    for file, line in (
        ("setgroups", "deny"),  # without it an ordinary process may not write gid_map
        ("uid_map", f"{user} {outer_user} 1"),
        ("gid_map", f"{group} {outer_group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as map_file:
            map_file.write(line)


def give_up_root(user: int, group: int) -> None:
    """Become `user`:`group` for good."""
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def main(arguments: list[str]) -> None:
    """Take on the identity, fasten the leash, become the program."""
    parent, death_signal, identity, _, *program = arguments
    nobody = pwd.getpwnam("nobody")
    if identity == "namespace":
        enter_namespace(nobody.pw_uid, nobody.pw_gid)
    elif identity == "nobody":
        give_up_root(nobody.pw_uid, nobody.pw_gid)
    if sys.platform == "linux":
        system_call("prctl", PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)  # after the identity: a change of it unfastens
    if os.getppid() != int(parent):  # it died before the leash was fastened
        sys.exit(STATUS_CANNOT_START)
    os.execv(program[0], program)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        print(f"leash: {error}", file=sys.stderr)
        sys.exit(STATUS_CANNOT_START)
