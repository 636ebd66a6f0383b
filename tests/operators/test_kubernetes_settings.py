"""The settings of the kubernetes runtime: what is read, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry_airflow.cluster import KubernetesSettings

CLAIM = {"CLIPQUARRY_KUBERNETES_CLAIM": "clipquarry-data"}
DATA = Path("/data")


def test_settings_have_defaults() -> None:
    assert KubernetesSettings.from_env(DATA, CLAIM) == KubernetesSettings(claim="clipquarry-data")


def test_all_settings_are_read() -> None:
    names = {"NAMESPACE": "video-sets", "MOUNTS": " mine:/mine, sub.domain:/a/b ", "SECRET": "cookies", "USER": "0:7",
             "SERVICE_ACCOUNT": "steps", "CONFIG": "/etc/kube.yaml"}  # fmt: skip
    environ = CLAIM | {f"CLIPQUARRY_KUBERNETES_{name}": value for name, value in names.items()}
    assert KubernetesSettings.from_env(DATA, environ) == KubernetesSettings(
        claim="clipquarry-data", namespace="video-sets", mounts=(("mine", "/mine"), ("sub.domain", "/a/b")), secret="cookies",
        user=0, group=7, service_account="steps", config="/etc/kube.yaml",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAIM", ""), ("CLAIM", "Data"), ("CLAIM", "a_b"), ("CLAIM", "-a"), ("CLAIM", "a\n"), ("CLAIM", "a" * 254),
        ("CLAIM", "../etc"), ("CLAIM", "{{ var.value.x }}"), ("CLAIM", "$(HOME)"), ("CLAIM", "a..b"), ("CLAIM", "ä"),
        ("NAMESPACE", "a.b"), ("NAMESPACE", "a" * 64), ("NAMESPACE", "kube/system"), ("NAMESPACE", "A"),
        ("SECRET", "a b"), ("SECRET", "a/b"), ("SECRET", "x;y"), ("SERVICE_ACCOUNT", "a:b"), ("SERVICE_ACCOUNT", "Root"),
        ("USER", "root"), ("USER", "1000"), ("USER", "-1:0"), ("USER", "1:2:3"), ("USER", "2147483648:0"),
        ("USER", "1:2\n"), ("USER", "٣:٣"), ("CONFIG", "kube.yaml"), ("CONFIG", "~/.kube/config"),
        ("MOUNTS", "claim"), ("MOUNTS", "/host:/x"), ("MOUNTS", "claim:"), ("MOUNTS", "claim:x"), ("MOUNTS", "c:/a/../b"),
        ("MOUNTS", "c:/"), ("MOUNTS", "c:/data"), ("MOUNTS", "c:/tmp"), ("MOUNTS", "c:/a,d:/a"), ("MOUNTS", "c:/a:ro"),
        ("MOUNTS", "c:/a\nb"), ("MOUNTS", "c:/a/"), ("MOUNTS", "c://a"), ("MOUNTS", "C:/a"), ("MOUNTS", "c:/" + "a" * 5000),
    ],
)  # fmt: skip
def test_hostile_settings_are_refused_in_one_sentence(name: str, value: str) -> None:
    environ = CLAIM | {f"CLIPQUARRY_KUBERNETES_{name}": value}
    with pytest.raises(UserError, match=f"CLIPQUARRY_KUBERNETES_{name} ") as raised:
        KubernetesSettings.from_env(DATA, environ)
    text = str(raised.value)
    assert text.endswith(".") and "write" in text and "\n" not in text and len(text) < 600


@pytest.mark.parametrize("root", ["/", "/tmp", "/data:1", "/da\nta", "/a/../b", "data"])
def test_data_roots_that_no_pod_can_mount(root: str) -> None:
    with pytest.raises(UserError, match="CLIPQUARRY_DATA is "):
        KubernetesSettings.from_env(Path(root), CLAIM)


def test_a_mount_cannot_hide_the_data_root() -> None:
    with pytest.raises(UserError, match="above it"):
        KubernetesSettings.from_env(Path("/srv/data"), CLAIM | {"CLIPQUARRY_KUBERNETES_MOUNTS": "c:/srv"})


@pytest.mark.parametrize(
    ("secret", "cookies", "says"),
    [
        ("s", None, "CLIPQUARRY_COOKIES is not set"), ("s", "cookies.txt", "absolute path"), ("s", "/etc/../c", "absolute path"),
        ("s", "/data/cookies.txt", "inside a mounted volume"), ("s", "/mine/cookies.txt", "inside a mounted volume"),
        ("", "/etc/cookies.txt", "let CLIPQUARRY_KUBERNETES_SECRET name a Secret"),
    ],
)  # fmt: skip
def test_cookies_and_secret_must_fit(secret: str, cookies: str | None, says: str) -> None:
    settings = KubernetesSettings(claim="c", mounts=(("m", "/mine"),), secret=secret)
    with pytest.raises(UserError, match=says):
        settings.cookies(Path(cookies) if cookies else None, DATA)


def test_cookies_in_a_volume_need_no_secret() -> None:
    settings = KubernetesSettings(claim="c", mounts=(("m", "/mine"),))
    assert settings.cookies(None, DATA) is None
    assert settings.cookies(Path("/mine/cookies.txt"), DATA) is None
    assert settings.cookies(Path("/data/cookies.txt"), DATA) is None
