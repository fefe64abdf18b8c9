from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrialKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIAL_KIND_UNSPECIFIED: _ClassVar[TrialKind]
    TRIAL_KIND_SHADOW: _ClassVar[TrialKind]
    TRIAL_KIND_SPLIT: _ClassVar[TrialKind]
TRIAL_KIND_UNSPECIFIED: TrialKind
TRIAL_KIND_SHADOW: TrialKind
TRIAL_KIND_SPLIT: TrialKind

class PromoteReleaseRequest(_message.Message):
    __slots__ = ("release_id",)
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    def __init__(self, release_id: _Optional[str] = ...) -> None: ...

class PromoteReleaseResponse(_message.Message):
    __slots__ = ("release_id", "previous_release_id", "ended_trial_release_ids")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ENDED_TRIAL_RELEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    previous_release_id: str
    ended_trial_release_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, release_id: _Optional[str] = ..., previous_release_id: _Optional[str] = ..., ended_trial_release_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RollbackReleaseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RollbackReleaseResponse(_message.Message):
    __slots__ = ("release_id", "previous_release_id", "ended_trial_release_ids")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ENDED_TRIAL_RELEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    previous_release_id: str
    ended_trial_release_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, release_id: _Optional[str] = ..., previous_release_id: _Optional[str] = ..., ended_trial_release_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListReleasesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReleasesResponse(_message.Message):
    __slots__ = ("releases", "folder")
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseSummary]
    folder: str
    def __init__(self, releases: _Optional[_Iterable[_Union[ReleaseSummary, _Mapping]]] = ..., folder: _Optional[str] = ...) -> None: ...

class ReleaseSummary(_message.Message):
    __slots__ = ("release_id", "live", "item_count", "created")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    live: bool
    item_count: int
    created: str
    def __init__(self, release_id: _Optional[str] = ..., live: _Optional[bool] = ..., item_count: _Optional[int] = ..., created: _Optional[str] = ...) -> None: ...

class StartTrialRequest(_message.Message):
    __slots__ = ("release_id", "kind", "share", "bucket")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    kind: TrialKind
    share: float
    bucket: str
    def __init__(self, release_id: _Optional[str] = ..., kind: _Optional[_Union[TrialKind, str]] = ..., share: _Optional[float] = ..., bucket: _Optional[str] = ...) -> None: ...

class StartTrialResponse(_message.Message):
    __slots__ = ("trial",)
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    trial: Trial
    def __init__(self, trial: _Optional[_Union[Trial, _Mapping]] = ...) -> None: ...

class StopTrialRequest(_message.Message):
    __slots__ = ("release_id",)
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    def __init__(self, release_id: _Optional[str] = ...) -> None: ...

class StopTrialResponse(_message.Message):
    __slots__ = ("trial",)
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    trial: Trial
    def __init__(self, trial: _Optional[_Union[Trial, _Mapping]] = ...) -> None: ...

class ListTrialsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTrialsResponse(_message.Message):
    __slots__ = ("trials",)
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    trials: _containers.RepeatedCompositeFieldContainer[Trial]
    def __init__(self, trials: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("release_id", "kind", "share", "bucket", "figures")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    kind: TrialKind
    share: float
    bucket: str
    figures: ShadowFigures
    def __init__(self, release_id: _Optional[str] = ..., kind: _Optional[_Union[TrialKind, str]] = ..., share: _Optional[float] = ..., bucket: _Optional[str] = ..., figures: _Optional[_Union[ShadowFigures, _Mapping]] = ...) -> None: ...

class ShadowFigures(_message.Message):
    __slots__ = ("compared_count", "failed_count", "dropped_count", "mean_overlap_at_10", "mean_rank_correlation", "mean_probability_difference", "live_mean_ms", "shadow_mean_ms")
    COMPARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_OVERLAP_AT_10_FIELD_NUMBER: _ClassVar[int]
    MEAN_RANK_CORRELATION_FIELD_NUMBER: _ClassVar[int]
    MEAN_PROBABILITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    LIVE_MEAN_MS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MEAN_MS_FIELD_NUMBER: _ClassVar[int]
    compared_count: int
    failed_count: int
    dropped_count: int
    mean_overlap_at_10: float
    mean_rank_correlation: float
    mean_probability_difference: float
    live_mean_ms: float
    shadow_mean_ms: float
    def __init__(self, compared_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., dropped_count: _Optional[int] = ..., mean_overlap_at_10: _Optional[float] = ..., mean_rank_correlation: _Optional[float] = ..., mean_probability_difference: _Optional[float] = ..., live_mean_ms: _Optional[float] = ..., shadow_mean_ms: _Optional[float] = ...) -> None: ...

class SnapshotCatalogRequest(_message.Message):
    __slots__ = ("folder",)
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    folder: str
    def __init__(self, folder: _Optional[str] = ...) -> None: ...

class SnapshotCatalogResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: str
    def __init__(self, file: _Optional[str] = ...) -> None: ...
