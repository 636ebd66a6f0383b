"""The ``kubernetes`` runtime: a step is a pod, created by Airflow's KubernetesPodOperator and confined beyond its
defaults.
"""

from __future__ import annotations

import hashlib
import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.container import get_container_status
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchTimeoutException
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry.settings import Settings
from kubernetes.client import ApiException  # type: ignore[import-untyped, unused-ignore]
from kubernetes.client import models as k8s
from kubernetes.config import ConfigException  # type: ignore[import-untyped, unused-ignore]
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from clipquarry_airflow.cluster import KEY, TMP, KubernetesSettings
from clipquarry_airflow.containers import ContainerSettings, read_params, step_environment
from clipquarry_airflow.folders import check_folders
from clipquarry_airflow.operators.step import StepOperator

GRACE_SECONDS = 5
"""Seconds between SIGTERM and SIGKILL when a task is cancelled; a step ends itself within three seconds."""
STARTUP_SECONDS = 600
"""Seconds that a pod may wait for a node, and then for its image: a new node needs minutes."""
LEAVING_SECONDS = 60
"""Seconds that a new try waits for the end of a pod that is being deleted."""
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


def _literal(text: str) -> str:
    """Escape a text: Kubernetes substitutes ``$(NAME)`` in arguments and values, and ``$$`` stands for one ``$``."""
    return text.replace("$", "$$")


def _line(text: Any) -> str:
    return " ".join(str(text or "").split())[:400].rstrip(".")


def _log_line(container: str, line: str) -> str:
    return line.rstrip("\n")  # the pod has one container, so its name before each line is superfluous


class KubernetesStepOperator(StepOperator, KubernetesPodOperator):
    """Runs the step in a pod: read-only root, no capabilities, no account of the cluster, cookies only with a
    network.

    The claim is mounted at the worker's data root, so that both name the same files. The next try finds a pod that a
    killed worker left running.
    """

    template_fields = ()

    def __init__(self, *, do_xcom_push: bool = True, **kwargs: Any) -> None:
        super().__init__(
            kubernetes_conn_id=None,
            image="chosen when the task runs",
            durable=True,
            deferrable=False,
            get_logs=True,
            log_formatter=_log_line,
            log_events_on_startup=False,  # needs no right to read events: the pod's status says why it does not start
            log_pod_spec_on_failure=False,
            startup_timeout_seconds=STARTUP_SECONDS,
            termination_grace_period=GRACE_SECONDS,
            on_finish_action="delete_pod",
            automount_service_account_token=False,
            **kwargs,
        )
        self.do_xcom_push = do_xcom_push  # the counts; to KubernetesPodOperator it means a sidecar (see run_step)

    @property
    def where(self) -> str:
        return f"kubernetes ({self.image})"

    @cached_property
    def hook(self) -> KubernetesHook:
        """Access by CLIPQUARRY_KUBERNETES_CONFIG, never by a connection of Airflow."""
        return KubernetesHook(
            kubernetes_conn_id=None, config_file=self.config_file, in_cluster=None if self.config_file else True
        )

    def run_step(self, data: Path, context: Context) -> tuple[int, str]:
        limits = ContainerSettings.from_env(self.step)
        self._configure(limits, KubernetesSettings.from_env(data), data)
        self._connect()
        pushes, self.do_xcom_push = self.do_xcom_push, False
        try:
            self._one_pod_at_most(context)
            KubernetesPodOperator.execute(self, context)
            return self._ended(limits)
        except ApiException as error:
            if error.status == 404 and self.pod is not None:
                return -1, f"The pod {self.pod.metadata.name} was deleted while it ran."
            raise self._refused(error) from None
        except HTTPError as error:
            raise AirflowException(f"The Kubernetes API does not answer: {_line(error)}.") from None
        finally:
            self.do_xcom_push = pushes

    def _connect(self) -> None:
        try:
            _ = self.client
        except (ConfigException, OSError, ValueError, YAMLError) as error:
            raise AirflowFailException(
                f"There is no access to a Kubernetes cluster ({_line(error)}): run the worker in the cluster, or let "
                "CLIPQUARRY_KUBERNETES_CONFIG name a kubeconfig file."
            ) from None

    def _configure(self, limits: ContainerSettings, cluster: KubernetesSettings, data: Path) -> None:
        check_folders(
            read_params(data / self.job["params"]), data, cluster.targets,
            places="CLIPQUARRY_EXTRA_ROOTS (to write) or CLIPQUARRY_KUBERNETES_MOUNTS (to read)",
        )  # fmt: skip
        self.jobs = limits.jobs(self.jobs)
        self.pod = self.pod_request_obj = self.remote_pod = None
        self._killed = False
        self.image, self.name, self.namespace = limits.image, f"clipquarry-{self.step}", cluster.namespace
        self.arguments = [_literal(word) for word in self.argv(data)]
        environment = {**step_environment(data / self.job["params"], data), **limits.environment}
        self.env_vars = [k8s.V1EnvVar(name=name, value=_literal(value)) for name, value in environment.items()]
        self.config_file, self.service_account_name = cluster.config, cluster.service_account
        # Several Airflows with DAGs and runs of the same names may share a namespace; the claim distinguishes them.
        deployment = hashlib.sha256(f"{cluster.claim}:{data}".encode()).hexdigest()[:12]
        self.labels = {
            "app.kubernetes.io/name": "clipquarry",
            "clipquarry.org/step": self.step,
            "clipquarry.org/network": "egress" if limits.network else "none",
            "clipquarry.org/deployment": deployment,
        }
        amounts = {}
        if limits.memory is not None:
            amounts["memory"] = str(limits.memory)
        if limits.cpus is not None:
            amounts["cpu"] = f"{round(limits.cpus * 1000)}m"
        if limits.gpus:
            amounts["nvidia.com/gpu"] = limits.gpu_number()
        self.container_resources = k8s.V1ResourceRequirements(limits=amounts, requests=amounts) if amounts else None
        if self.execution_timeout is not None:
            # A pod whose worker never returns ends by itself. The additional minute lets the worker end it first.
            self.active_deadline_seconds = int(self.execution_timeout.total_seconds()) + 60
        self._confine(cluster)
        cookies = cluster.cookies(Settings.from_env().cookies, data) if limits.network else None
        self._mount(cluster, data, cookies)

    def _confine(self, cluster: KubernetesSettings) -> None:
        self.security_context = k8s.V1PodSecurityContext(
            run_as_user=cluster.user,
            run_as_group=cluster.group,
            run_as_non_root=cluster.user != 0,
            fs_group=cluster.group,
            # else Kubernetes changes the owner of millions of files for each pod
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        )
        self.container_security_context = k8s.V1SecurityContext(
            read_only_root_filesystem=True,
            allow_privilege_escalation=False,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        )

    def _mount(self, cluster: KubernetesSettings, data: Path, cookies: str | None) -> None:
        self.volumes, self.volume_mounts = [], []

        def mount(name: str, path: str, *, read_only: bool = False, sub_path: str | None = None, **source: Any) -> None:
            self.volumes.append(k8s.V1Volume(name=name, **source))
            self.volume_mounts.append(
                k8s.V1VolumeMount(name=name, mount_path=path, read_only=read_only or None, sub_path=sub_path)
            )

        def claim(name: str, *, read_only: bool = False) -> k8s.V1PersistentVolumeClaimVolumeSource:
            return k8s.V1PersistentVolumeClaimVolumeSource(claim_name=name, read_only=read_only or None)

        mount("data", str(data), persistent_volume_claim=claim(cluster.claim))
        mount("tmp", TMP, empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit="256Mi"))
        for index, (name, path) in enumerate(cluster.roots):
            mount(f"root-{index}", path, persistent_volume_claim=claim(name))
        writable = {cluster.claim, *(name for name, _ in cluster.roots)}
        for index, (name, path) in enumerate(cluster.mounts):
            # A claim has one access mode in a pod, so the data's own claim is read-only only in its mount.
            source = claim(name, read_only=name not in writable)
            mount(f"mount-{index}", path, read_only=True, persistent_volume_claim=source)
        if cookies is not None:
            secret = k8s.V1SecretVolumeSource(
                secret_name=cluster.secret, default_mode=0o440, items=[k8s.V1KeyToPath(key=KEY, path=KEY)]
            )
            mount("cookies", cookies, read_only=True, sub_path=KEY, secret=secret)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        pod.spec.enable_service_links = False  # else the addresses of the namespace's services are in its environment
        return pod

    def _one_pod_at_most(self, context: Context) -> None:
        """Waits for a pod of this shard that is being deleted; of two, which only a lost answer can create, both are
        deleted.
        """
        selector = self._build_find_pod_label_selector(context)
        until = time.monotonic() + LEAVING_SECONDS
        while True:
            pods = self.client.list_namespaced_pod(namespace=self.namespace, label_selector=selector).items
            staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
            if len(pods) == len(staying) <= 1:
                return
            for pod in staying if len(staying) > 1 else []:
                self.pod_manager.delete_pod(pod)
            if time.monotonic() > until:
                raise AirflowException(
                    f"The pod {pods[0].metadata.name} of an earlier try does not go away: its node may be unreachable. "
                    "It must be gone before the next try begins; see 'kubectl describe pod'."
                )
            time.sleep(1)

    def await_pod_start(self, pod: k8s.V1Pod) -> None:
        try:
            super().await_pod_start(pod)
        except (PodLaunchFailedException, PodLaunchTimeoutException) as error:
            raise self._not_started(self.pod_manager.read_pod(pod).status, error) from None

    def cleanup(
        self, pod: k8s.V1Pod, remote_pod: k8s.V1Pod, xcom_result: Any = None, context: Context | None = None
    ) -> None:
        """Only removes the pod. The base class would hide the true reason, and needs the right to change pods."""
        if not self._killed and (remote_pod or self.pod):
            self.process_pod_deletion(remote_pod or self.pod, reraise=False)

    def _ended(self, limits: ContainerSettings) -> tuple[int, str]:
        """Exit status of the container, and further facts from the pod's status."""
        pod: k8s.V1Pod = self.remote_pod
        base = get_container_status(pod, self.base_container_name)
        ended = base.state.terminated if base is not None else None
        if ended is None:
            told = _line(f"{pod.status.reason or ''} {pod.status.message or ''}")
            return -1, f"The pod ended before its container did ({told or 'no reason is given'})."
        if ended.exit_code == 0:
            return 0, ""
        if ended.reason == "OOMKilled":
            limit = f" ({limits.memory // 2**20} MiB)" if limits.memory is not None else ""
            return int(ended.exit_code), (
                f"The container ran out of memory{limit}: give the step more with CLIPQUARRY_MEMORY_{self.step.upper()}, "
                "or ask for fewer jobs."
            )
        if pod.status.reason:  # Evicted, DeadlineExceeded, NodeLost and others
            return int(ended.exit_code), f"Kubernetes ended the pod ({pod.status.reason}: {_line(pod.status.message)})."
        if ended.reason not in (None, "Error"):
            return int(ended.exit_code), f"The container could not run ({ended.reason}: {_line(ended.message)})."
        return int(ended.exit_code), ""

    def _not_started(self, status: k8s.V1PodStatus, error: AirflowException) -> AirflowException:
        """One sentence for a pod that never ran; a wrong image is not retried."""
        base = next((s for s in status.container_statuses or [] if s.name == self.base_container_name), None)
        waiting = base.state.waiting if base is not None and base.state is not None else None
        if waiting is not None and waiting.reason in _IMAGE_REASONS:
            kind = AirflowException if isinstance(error, PodLaunchTimeoutException) else AirflowFailException
            return kind(
                f"The image {self.image} cannot be pulled ({waiting.reason}: {_line(waiting.message)}): let CLIPQUARRY_IMAGE name "
                "one that the nodes can pull, or give the pod's service account an image pull secret."
            )
        conditions = {condition.type: condition for condition in status.conditions or []}
        scheduled = conditions.get("PodScheduled")
        if scheduled is not None and scheduled.status != "True":
            step = self.step.upper()
            return AirflowException(
                f"No node took the pod within {self.schedule_timeout_seconds} seconds ({_line(scheduled.message)}): ask for less "
                f"with CLIPQUARRY_MEMORY_{step} and CLIPQUARRY_CPUS_{step}, add nodes, or see that the claim is bound."
            )
        told = [waiting.reason, waiting.message] if waiting is not None else [status.reason, status.message or error]
        return AirflowException(
            f"The pod did not start ({': '.join(_line(part) for part in told if part)}): see its events with 'kubectl get "
            f"events -n {self.namespace}'; a claim or a Secret that it mounts may be missing."
        )

    def _refused(self, error: ApiException) -> AirflowException:
        """One sentence for the API's error; an error of the set-up is not retried."""
        try:
            said = json.loads(error.body)["message"]
        except (TypeError, ValueError, KeyError):
            said = error.body or error.reason
        passing = (
            error.status not in range(400, 500) or error.status in (408, 409, 429) or "exceeded quota" in str(said)
        )
        kind = AirflowException if passing else AirflowFailException
        return kind(
            f"The Kubernetes API refuses the step's pod in namespace {self.namespace} ({error.status}: {_line(said)}). "
            "Check that the namespace is there, and that the worker's service account may create, get, list and delete pods in it."
        )
