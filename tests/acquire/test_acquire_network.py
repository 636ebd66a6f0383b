"""Whether the network is up: asked once for a while, of several hosts, of the kernel and of the proxy."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from clipquarry.acquire.network import Network, has_default_route, may_be_ours


def test_the_network_is_looked_at_once_and_again_later() -> None:
    asked: list[str] = []
    now = [0.0]

    def connect(host: str, port: int, timeout: float) -> None:
        asked.append(host)
        raise TimeoutError("timed out")

    network = Network(connect=connect, route=lambda: True, proxies=dict, hosts=("a", "b"), clock=lambda: now[0])
    assert not network.known_down() and network.is_down() and network.is_down() and network.known_down()
    assert sorted(asked) == ["a", "b"]
    now[0] = 31
    assert not network.known_down() and network.is_down() and len(asked) == 4


def test_one_host_that_answers_is_enough_and_a_hanging_one_is_not_waited_for() -> None:
    import threading
    import time

    def connect(host: str, port: int, timeout: float) -> None:
        if host == "slow":
            threading.Event().wait(20)
        if host == "dead":
            raise socket.gaierror(-2, "unknown")

    begun = time.monotonic()
    make = {"connect": connect, "route": lambda: True, "proxies": dict, "timeout": 0.3}
    assert not Network(hosts=("dead", "fine"), **make).is_down()  # type: ignore[arg-type]
    assert Network(hosts=("dead", "slow"), **make).is_down()  # type: ignore[arg-type]
    assert time.monotonic() - begun < 15, "the slow one takes 20 s"


def test_no_route_and_proxies() -> None:
    def never(host: str, port: int, timeout: float) -> None:
        raise AssertionError("nothing needs to be asked")

    assert Network(connect=never, route=lambda: False, proxies=dict).is_down()
    asked: list[tuple[str, int]] = []
    proxied = Network(
        connect=lambda host, port, timeout: asked.append((host, port)),
        route=lambda: False, proxies=lambda: {"https": "http://user:pw@proxy.example:3128"},
    )  # fmt: skip
    assert not proxied.is_down() and asked == [("proxy.example", 3128)]


def test_default_route_is_read_from_the_kernel(tmp_path: Path) -> None:
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    (tmp_path / "route").write_text(head + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n")
    assert has_default_route(tmp_path)
    (tmp_path / "route").write_text(head + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n")
    assert not has_default_route(tmp_path)
    zero = "0" * 32
    lo = f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    (tmp_path / "ipv6_route").write_text(lo)
    assert not has_default_route(tmp_path)
    (tmp_path / "ipv6_route").write_text(lo + lo.replace("lo", "eth0"))
    assert has_default_route(tmp_path)
    assert has_default_route(tmp_path / "absent")


def test_which_errors_can_be_the_cable() -> None:
    assert may_be_ours(OSError(errno.ENETUNREACH, "x")) and may_be_ours("Connection to h timed out.")
    assert not may_be_ours(ConnectionResetError(errno.ECONNRESET, "x")) and not may_be_ours("Private video")
