"""Settings of the ``kubernetes`` runtime from the environment: where pods run, their mounts, their user."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipquarry.errors import UserError

KEY = "cookies.txt"
TMP = "/tmp"  # noqa: S108  the container's own
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_USER = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
_PATH = re.compile(r"/(?!/)[^:\x00-\x1f\x7f]{1,4000}")


def _name(environ: Mapping[str, str], variable: str, what: str, pattern: re.Pattern[str] = _NAME) -> str:
    """A name that Kubernetes takes (RFC 1123), or an empty text."""
    text = environ.get(variable) or ""
    if text and (len(text) > 253 or not pattern.fullmatch(text)):
        raise UserError(
            f"{variable} is {text[:300]!r}; write the name of {what}: small letters, digits and '-' inside it."
        )
    return text


def _is_path(text: str) -> bool:
    """An absolute path that can be mounted: Kubernetes allows no ':' in it."""
    return bool(_PATH.fullmatch(text)) and ".." not in Path(text).parts and text == str(Path(text))


@dataclass(frozen=True)
class KubernetesSettings:
    """Where pods run, their mounts, and their user. ``mounts`` are read-only (claim, folder) pairs, ``roots``
    writable ones.
    """

    claim: str
    namespace: str = "default"
    mounts: tuple[tuple[str, str], ...] = ()
    roots: tuple[tuple[str, str], ...] = ()
    secret: str = ""
    user: int = 10001
    group: int = 10001
    service_account: str | None = None
    config: str | None = None
    """A kubeconfig; None: the worker's own account in the cluster it runs in."""

    @classmethod
    def from_env(cls, root: Path, environ: Mapping[str, str] = os.environ) -> KubernetesSettings:
        """Raises UserError for any value that the Kubernetes API would refuse later."""
        claim = _name(environ, "CLIPQUARRY_KUBERNETES_CLAIM", "a PersistentVolumeClaim")
        if not claim:
            raise UserError(
                "CLIPQUARRY_KUBERNETES_CLAIM is not set; write the name of the PersistentVolumeClaim that holds the data root."
            )
        if not _is_path(str(root)) or root == Path(TMP):
            raise UserError(
                f"CLIPQUARRY_DATA is {str(root)[:300]!r}; a pod can mount an absolute path without ':', such as /data."
            )
        config = environ.get("CLIPQUARRY_KUBERNETES_CONFIG") or None
        if config is not None and not Path(config).is_absolute():
            raise UserError(
                f"CLIPQUARRY_KUBERNETES_CONFIG is {config[:300]!r}; write the absolute path of a kubeconfig file."
            )
        user, group = _user(environ.get("CLIPQUARRY_KUBERNETES_USER") or "10001:10001")
        return cls(
            claim=claim,
            namespace=_name(environ, "CLIPQUARRY_KUBERNETES_NAMESPACE", "a namespace (at most 63 characters)", _LABEL)
            or cls.namespace,
            mounts=_mounts("CLIPQUARRY_KUBERNETES_MOUNTS", environ, root),
            roots=_mounts("CLIPQUARRY_EXTRA_ROOTS", environ, root),
            secret=_name(environ, "CLIPQUARRY_KUBERNETES_SECRET", "a Secret"),
            user=user,
            group=group,
            service_account=_name(environ, "CLIPQUARRY_KUBERNETES_SERVICE_ACCOUNT", "a ServiceAccount") or None,
            config=config,
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The folders that a step has besides the data root."""
        return tuple(path for _, path in (*self.roots, *self.mounts))

    def cookies(self, cookies: Path | None, root: Path) -> str | None:
        """Path of the Secret's file in a step with network; None: no step gets it, or it lies in a volume already."""
        if cookies is None:
            if self.secret:
                raise UserError(
                    f"CLIPQUARRY_KUBERNETES_SECRET is '{self.secret}', but CLIPQUARRY_COOKIES is not set; write there the path "
                    "that its cookies get in the pod, such as /etc/clipquarry/cookies.txt."
                )
            return None
        if not _is_path(str(cookies)):
            raise UserError(f"CLIPQUARRY_COOKIES is {str(cookies)[:300]!r}; write an absolute path without ':'.")
        in_volume = any(cookies.is_relative_to(folder) for folder in (str(root), *self.targets))
        if self.secret and in_volume:
            raise UserError(
                f"CLIPQUARRY_COOKIES is '{cookies}', inside a mounted volume, where the Secret {self.secret} cannot be "
                "mounted; write a path outside, such as /etc/clipquarry/cookies.txt."
            )
        if not self.secret and not in_volume:
            raise UserError(
                f"CLIPQUARRY_COOKIES is '{cookies}', which no pod has; let CLIPQUARRY_KUBERNETES_SECRET name a Secret that "
                f"holds the file under the key {KEY}."
            )
        return str(cookies) if self.secret else None


def _user(text: str) -> tuple[int, int]:
    found = _USER.fullmatch(text)
    if not found or max(int(found[1]), int(found[2])) >= 2**31:
        raise UserError(
            f"CLIPQUARRY_KUBERNETES_USER is {text[:300]!r}; write two numbers, uid:gid, such as 10001:10001."
        )
    return int(found[1]), int(found[2])


def _mounts(variable: str, environ: Mapping[str, str], root: Path) -> tuple[tuple[str, str], ...]:
    mounts: list[tuple[str, str]] = []
    for part in filter(None, map(str.strip, environ.get(variable, "").split(","))):
        claim, _, path = part.partition(":")
        if len(claim) > 253 or not _NAME.fullmatch(claim) or not _is_path(path):
            raise UserError(f"{variable} holds {part[:300]!r}; for pods write claim:/folder, separated by commas.")
        if path in (TMP, *(other for _, other in mounts)) or root.is_relative_to(path):
            raise UserError(
                f"{variable} holds '{part}', and {path} is taken; write a folder that is not {TMP}, not "
                "named twice, and not the data root or above it."
            )
        mounts.append((claim, path))
    return tuple(mounts)
