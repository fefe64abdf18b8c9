"""ReleaseService: switches of the release and snapshots of the catalogue, on a Unix socket of the gateway's user."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import structlog

from domain import release_folder
from domain.errors import FieldViolation, InvalidRequest
from server.addresses import answers
from server.catalogue.store import CatalogueStore
from server.release.switch import ReleaseSwitch
from server.trials.running import RunningTrial
from server.trials.trial import TrialKind, TrialPlan
from server.trials.trials import Trials
from shortlist.v1 import release_pb2 as pb
from shortlist.v1 import release_pb2_grpc as pb_grpc

SOCKET = "gateway.sock"
# The kernel takes 107 bytes for a whole path.
_LONGEST_PATH = 100
_KINDS = {pb.TRIAL_KIND_SHADOW: TrialKind.SHADOW, pb.TRIAL_KIND_SPLIT: TrialKind.SPLIT}


class ReleaseServicer(pb_grpc.ReleaseServiceServicer):
    """Servicer of the operator's calls."""

    def __init__(
        self, switch: ReleaseSwitch, trials: Trials, live_id: Callable[[], str], store: Callable[[], CatalogueStore]
    ) -> None:
        self._switch = switch
        self._trials = trials
        self._live_id = live_id
        self._store = store

    async def PromoteRelease(  # noqa: D102 -- the contract's name and comment
        self, request: pb.PromoteReleaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.PromoteReleaseResponse:
        release_id, before, ended = await self._switched(self._switch.promote(request.release_id))
        return pb.PromoteReleaseResponse(
            release_id=release_id, previous_release_id=before, ended_trial_release_ids=ended
        )

    async def RollbackRelease(  # noqa: D102
        self, request: pb.RollbackReleaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.RollbackReleaseResponse:
        release_id, before, ended = await self._switched(self._switch.rollback())
        return pb.RollbackReleaseResponse(
            release_id=release_id, previous_release_id=before, ended_trial_release_ids=ended
        )

    async def _switched(self, switching: Awaitable[tuple[str, str]]) -> tuple[str, str, list[str]]:
        """Returns the release that is live, the one before, and those whose trials ended."""
        live_id = self._live_id()
        ended: list[str] = []
        try:
            release_id, before = await switching
        finally:
            # A switch goes to its end also where the caller leaves.
            if self._live_id() != live_id:
                ended = await self._trials.stop_all()
        return release_id, before, ended

    async def StartTrial(  # noqa: D102
        self, request: pb.StartTrialRequest, context: grpc.aio.ServicerContext
    ) -> pb.StartTrialResponse:
        kind = _KINDS.get(request.kind)
        if kind is None:
            raise InvalidRequest(FieldViolation("kind", "TRIAL_KIND_SHADOW or TRIAL_KIND_SPLIT"))
        bucket = request.bucket if kind is TrialKind.SPLIT else ""
        plan = TrialPlan(request.release_id, kind, request.share, bucket)
        return pb.StartTrialResponse(trial=_trial(await self._trials.start(plan)))

    async def StopTrial(  # noqa: D102
        self, request: pb.StopTrialRequest, context: grpc.aio.ServicerContext
    ) -> pb.StopTrialResponse:
        return pb.StopTrialResponse(trial=_trial(await self._trials.stop(request.release_id)))

    async def ListTrials(  # noqa: D102
        self, request: pb.ListTrialsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListTrialsResponse:
        return pb.ListTrialsResponse(trials=[_trial(one) for one in self._trials.running])

    async def ListReleases(  # noqa: D102
        self, request: pb.ListReleasesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListReleasesResponse:
        found = await asyncio.to_thread(release_folder.list_releases, self._switch.releases)
        live_id = self._live_id()
        return pb.ListReleasesResponse(
            releases=[
                pb.ReleaseSummary(
                    release_id=one.manifest.release_id,
                    live=one.manifest.release_id == live_id,
                    item_count=one.manifest.item_count,
                    created=one.manifest.created,
                )
                for one in found
            ],
            folder=str(self._switch.releases.resolve()),
        )

    async def SnapshotCatalog(  # noqa: D102
        self, request: pb.SnapshotCatalogRequest, context: grpc.aio.ServicerContext
    ) -> pb.SnapshotCatalogResponse:
        folder = Path(request.folder)
        if not folder.is_absolute() or "\0" in request.folder:
            raise InvalidRequest(FieldViolation("folder", "an absolute path on the gateway's machine"))
        file = await asyncio.to_thread(self._store().snapshot, folder)
        return pb.SnapshotCatalogResponse(file=str(file))


def _trial(trial: RunningTrial) -> pb.Trial:
    plan, figures = trial.plan, trial.figures
    message = pb.Trial(
        release_id=plan.release_id, kind=f"TRIAL_KIND_{plan.kind.name}", share=plan.share, bucket=plan.bucket
    )
    if plan.kind is TrialKind.SHADOW:
        message.figures.CopyFrom(
            pb.ShadowFigures(
                compared_count=figures.overlap.count,
                failed_count=figures.failed_count,
                dropped_count=figures.dropped_count,
                mean_overlap_at_10=figures.overlap.value,
                mean_rank_correlation=figures.rank_correlation.value,
                mean_probability_difference=figures.probability_difference.value,
                live_mean_ms=figures.live_s.value * 1e3,
                shadow_mean_ms=figures.shadow_s.value * 1e3,
            )
        )
    return message


async def open_admin_socket(
    state: Path, servicer: ReleaseServicer, interceptor: grpc.aio.ServerInterceptor
) -> grpc.aio.Server | None:
    """Serves the operator's calls on a socket with mode 0600 below `state`; None where that cannot be.

    Args:
        state: the gateway's folder.
        servicer: of the calls.
        interceptor: turns errors into statuses.
    """
    path = (state / SOCKET).resolve()
    log = structlog.get_logger("gateway")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        log.warning("no socket for operators: the path is too long", path=str(path))
        return None
    if path.exists() and answers(path):
        log.warning("no socket for operators: another gateway uses it", path=str(path))
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = grpc.aio.server(interceptors=[interceptor])
    pb_grpc.add_ReleaseServiceServicer_to_server(servicer, server)
    # The socket gets its mode when it is made, so that nobody else can open it in between.
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
        await server.start()
    finally:
        os.umask(before)
    return server
