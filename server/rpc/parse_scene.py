"""The scene of a request, and how many items it asks for."""

from domain.errors import FieldViolation, UnknownScene
from domain.scene import NO_SCENE, Scene, Scenes
from server.rpc.check import RequestLimits
from shortlist.v1 import recommender_pb2 as pb


def scene_of(request: pb.RecommendRequest, scenes: Scenes) -> Scene:
    """Returns the scene of a request: the one it names, or the default; an empty one where there is none.

    Raises:
        UnknownScene: the gateway does not have it.
    """
    name = request.scene or scenes.default
    if not name:
        return NO_SCENE
    if name not in scenes.by_name:
        known = ", ".join(scenes.by_name) or "none; it was started without a file of scenes"
        raise UnknownScene(FieldViolation("scene", f'unknown scene "{name[:64]}"; this gateway has {known}'))
    return scenes.by_name[name]


def known_scene(request: pb.RecommendRequest, scenes: Scenes) -> Scene:
    """Returns the scene of a request; an empty one where the gateway does not have it."""
    return scenes.by_name.get(request.scene or scenes.default, NO_SCENE)


def asked_count(request: pb.RecommendRequest, limits: RequestLimits, scene: Scene) -> int:
    """Returns how many items a request asks for, not checked."""
    if request.HasField("k"):
        return int(request.k)
    return len(request.candidate_item_ids) or scene.k or limits.default_k
